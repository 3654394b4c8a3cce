import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { ClientAddresses } from './client-address.ts';
import { parseUrl } from '../oci/url.ts';

/**
 * The address by which clients reach us, for texts that show it: `http.host` where it is configured, else what the client
 * sent as Host. X-Forwarded-Proto and -Host count only from a trusted proxy (S29). `undefined` where the Host is no
 * authority: nothing is built from it.
 */
export function publicAddress(
  incoming: Pick<IncomingMessage, 'headers' | 'socket'>,
  configured: string | undefined,
  addresses: ClientAddresses,
): string | undefined {
  if (configured !== undefined) return configured.replace(/\/+$/, '');
  const trusted = addresses.trusts(incoming.socket.remoteAddress);
  const host = (trusted ? lastOf(incoming.headers['x-forwarded-host']) : undefined) ?? incoming.headers.host;
  const said = trusted ? lastOf(incoming.headers['x-forwarded-proto']) : undefined;
  const scheme = said === 'http' || said === 'https' ? said : schemeOf(incoming);
  return host !== undefined && isAuthority(host) ? `${scheme}://${host}` : undefined;
}

/** In shape, and one that an address can have: not port 99999, nor 999.999.999.999. */
function isAuthority(host: string): boolean {
  return /^(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host) && parseUrl(`http://${host}`) !== undefined;
}

function schemeOf(incoming: Pick<IncomingMessage, 'socket'>): 'http' | 'https' {
  return (incoming.socket as Partial<TLSSocket>).encrypted === true ? 'https' : 'http';
}

/** The last value, which the proxy next to us wrote. */
function lastOf(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header.join(',') : header;
  return text?.split(',').at(-1)?.trim();
}
