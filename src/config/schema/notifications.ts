import { z } from 'zod';
import { count, flag, limit, listOf, mapOf, path, secret, text, word } from '../forms.ts';
import { hiddenUrl } from './health.ts';
import { headerName } from './http.ts';
import { hiddenValue } from './upstreams.ts';

const ignore = z.strictObject({
  mediatypes: listOf(text()).prefault([]).describe('Types of targets that it is not told of.'),
  actions: listOf(word('push', 'pull', 'mount', 'delete'))
    .prefault([])
    .describe('Actions that it is not told of.'),
});

const endpoint = z.strictObject({
  name: text().describe('Metric label, and the name of its queue.'),
  disabled: flag().prefault('false').describe('It is told nothing.'),
  url: hiddenUrl().describe('Where events are sent, by POST; no redirect is followed. Hidden when shown.'),
  headers: mapOf(listOf(hiddenValue()), headerName).prefault({}).describe('Sent with each, such as an `Authorization`.'),
  timeout: limit().prefault('1s').describe('How long its answer may take.'),
  threshold: count(1, 1_000_000).prefault('10').describe('Failures in a row, after which it is left alone for `backoff`.'),
  backoff: limit().prefault('1s').describe('How long it is left alone then, before each further try.'),
  ignoredmediatypes: listOf(text()).prefault([]).describe('The old spelling of `ignore.mediatypes`.'),
  ignore: ignore.prefault({}),
  secret: secret()
    .optional()
    .describe('Signs each: `X-Hub-Signature-256: sha256=` and the HMAC-SHA256 of the body, as GitHub signs its webhooks.'),
  secretfile: path().optional().describe('File that holds the secret; read again when it changes.'),
});

const events = z.strictObject({
  includereferences: flag().prefault('false').describe('Also tells what a manifest refers to.'),
});

export const notifications = z.strictObject({
  events: events.prefault({}),
  endpoints: z.array(endpoint).prefault([]),
});
