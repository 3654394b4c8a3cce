import { messageOf } from '../observe/redact.ts';

/** Why the server did not start, and what to do about it: one line for a person. */
export function startFault(error: unknown): string {
  const place = placeOf(error as ListenError);
  const remedy = REMEDIES[(error as ListenError).code ?? ''];
  if (place === undefined || remedy === undefined) return `cannot start: ${messageOf(error)}`;
  return `cannot start: ${place} ${remedy}`;
}

/** What Node says of an address that cannot be listened on. */
interface ListenError extends NodeJS.ErrnoException {
  readonly address?: string;
  readonly port?: number;
  /** Of a name that was looked up. */
  readonly hostname?: string;
}

function placeOf({ syscall, address, port, hostname }: ListenError): string | undefined {
  if (syscall === 'getaddrinfo') return hostname;
  if (syscall !== 'listen' || address === undefined) return undefined;
  const host = address.includes(':') ? `[${address}]` : address;
  return port === undefined ? address : `${host}:${port}`;
}

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is taken by another program: stop that one, or write another http.addr (or http.debug.addr)',
  EACCES: 'may not be listened on by this user: take a port from 1024 up, or grant it CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL:
    'is no address of this machine: write one that is, or :PORT for all of them, as http.addr (or http.debug.addr)',
  ENOTFOUND: 'is a name that nobody knows: write an address as http.addr (or http.debug.addr)',
};
