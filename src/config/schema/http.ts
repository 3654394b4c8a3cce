import { z } from 'zod';
import { address, flag, form, limit, listOf, mapOf, network, webUrl } from '../forms.ts';

/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** A header's name, in any case. */
export const headerName = z.string().regex(TOKEN, { error: 'expected the name of a header' });

/** A header's value: no control character but the tab (RFC 9110 5.5), so that no line can be smuggled in. */
export const headerValue = () =>
  form('text', 'the value of a header, without control characters', (written) =>
    /^[\t\x20-\x7e\x80-\xff]*$/.test(written) ? written : undefined,
  );

/** `/a/b/` → `/a/b`, `/` → nothing. */
function parsePrefix(written: string): string | undefined {
  return /^(?:\/[A-Za-z0-9._~-]+)*\/?$/.test(written) ? written.replace(/\/$/, '') : undefined;
}

const prometheus = z.strictObject({
  enabled: flag().prefault('true').describe('Serves metrics there.'),
  path: form('path', 'a path that begins with /', (written) => (/^\/[\w./-]+$/.test(written) ? written : undefined))
    .prefault('/metrics')
    .describe('Where metrics are.'),
});

const debug = z.strictObject({
  addr: address().optional().describe('Where to listen for metrics, health and status; without it there is no such listener.'),
  prometheus: prometheus.prefault({}),
});

export const http = z.strictObject({
  addr: address().prefault(':5000').describe('Where to listen; without a host on every address; port 0 picks a free one.'),
  host: webUrl().optional().describe('The public address, if it is not what clients send as Host.'),
  trustedproxies: listOf(network()).prefault([]).describe('Whose `X-Forwarded-For`, `-Proto` and `-Host` are believed.'),
  prefix: form('path', 'a path such as /registry/', parsePrefix).optional().describe('Stands before every path.'),
  headers: mapOf(listOf(headerValue()), headerName).prefault({}).describe('Headers that are set on every answer.'),
  debug: debug.prefault({}),
  draintimeout: limit(0).prefault('25s').describe('How long running requests may take after SIGTERM.'),
  stalltimeout: limit()
    .prefault('60s')
    .describe('How long a client may take no byte of a body, or bring none, before its connection is cut.'),
});
