import { isIP, isIPv4 } from 'node:net';
import type { Address } from './config.ts';
import { parseUrl } from '../oci/url.ts';

/** Host names and IPv4 addresses as one may listen on or dial. */
const HOST = /^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*$/i;

/** `:5000`, `127.0.0.1:5000`, `localhost:5000`, `[::1]:5000`, as Go writes them; `undefined` for anything else. */
export function parseAddress(text: string): Address | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65535) return undefined;
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? { host: bracketed, port } : undefined;
  if (plain === '' || plain === undefined) return { host: undefined, port };
  return HOST.test(plain) ? { host: plain, port } : undefined;
}

/** The same with a host and a port that can be dialled; `defaultPort` stands in for a port that is not written. */
export function parseTarget(text: string, defaultPort?: number): { host: string; port: number } | undefined {
  const written = /:\d+$/.test(text) || defaultPort === undefined ? text : `${text}:${defaultPort}`;
  const address = parseAddress(written);
  return address?.host === undefined || address.port === 0 ? undefined : { host: address.host, port: address.port };
}

/** `10.0.0.0/8`, `fd00::/8`, or a single address. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  if (isIP(address) === 0 || rest.length > 0) return false;
  if (bits === undefined) return true;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv4(address) ? 32 : 128);
}

/** A host name or address, with or without a port, taken apart; `undefined` for anything else. */
export function parseHost(text: string): { readonly host: string; readonly port: number | undefined } | undefined {
  const bare = text.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) === 6 || HOST.test(text)) return { host: bare.toLowerCase(), port: undefined };
  const target = parseTarget(text);
  return target && { host: target.host.toLowerCase(), port: target.port };
}

/** http or https, without user, query or fragment; a slash at the end is dropped. `undefined` for anything else. */
export function parseWebUrl(text: string): string | undefined {
  const url = /^https?:\/\/[^/?#@\s\\]+(?:\/[^?#@\s\\]*)?$/i.test(text) ? parseUrl(text) : undefined;
  return url && `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}
