import type { ListenOptions } from 'node:net';
import type { AddressInfo } from 'node:net';

/**
 * `http.addr` as the official registry writes it: `:5000`, `127.0.0.1:0`, `[::1]:5000`, `host:5000`. Throws Error saying what was expected.
 */
export function parseListenAddress(addr: string): ListenOptions {
  const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(addr) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) throw new Error(`addr: "${addr}" is not HOST:PORT or :PORT`);
  const host = bracketed ?? plain;
  // Without a host Node listens on :: and by it on IPv4 too, or on 0.0.0.0 where there is no IPv6.
  return host === undefined || host === '' ? { port } : { host, port };
}

/** What was bound, as it can be dialled: `127.0.0.1:40123`, `[::]:5000`, or a path. */
export function formatAddress(bound: AddressInfo | string | null): string {
  if (bound === null || typeof bound === 'string') return bound ?? '';
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}
