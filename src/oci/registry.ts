import { parseUrl } from './url.ts';

/** The whole of `host:port`. Longer than any name in the DNS. */
const LENGTH_MAX = 255;

const LABELS = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/;
const IPV6 = /^\[[0-9a-f:]+\]$/;
const PORT = /^[1-9][0-9]{0,4}$/;

/**
 * A registry's `host` or `host:port`, lower-cased, the port kept as written; `undefined` for anything else. The grammar is
 * the `domain` of distribution/reference: labels of letters, digits and inner hyphens, or an IPv6 address in brackets. No
 * scheme, path or user can pass it. What URLs would read as another host (`0x7f.1` is 127.0.0.1) is refused, so that the
 * name that routes and guards see is the name that is dialled (reliability.md, S06).
 */
export function parseRegistry(text: string): string | undefined {
  if (text.length > LENGTH_MAX) return undefined;
  const lower = text.toLowerCase();
  const colon = lower.startsWith('[') ? lower.indexOf(']') + 1 : lower.indexOf(':');
  const hostEnd = colon > 0 ? colon : lower.length;
  const host = lower.slice(0, hostEnd);
  const port = lower.slice(hostEnd);
  if (port !== '' && !isPort(port)) return undefined;
  const canonical = IPV6.test(host) ? canonicalHost(host) : isName(host) ? host : undefined;
  return canonical === undefined ? undefined : `${canonical}${port}`;
}

/** With its colon. */
function isPort(text: string): boolean {
  return text.startsWith(':') && PORT.test(text.slice(1)) && Number(text.slice(1)) <= 65_535;
}

function isName(host: string): boolean {
  if (!LABELS.test(host)) return false;
  const isSound = host.split('.').every((label) => !label.startsWith('-') && !label.endsWith('-'));
  return isSound && canonicalHost(host) === host;
}

/** As a URL has it: IPv6 in its shortest form; `undefined` where it is no host. */
function canonicalHost(host: string): string | undefined {
  return parseUrl(`https://${host}/`)?.hostname;
}
