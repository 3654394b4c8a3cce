import { request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { connect } from 'node:net';

/** How one look of a check goes: resolves when all is well, rejects with what is wrong. */
export type Look = (signal: AbortSignal) => Promise<void>;

/** `health.tcp`: somebody accepts a connection at `host:port`. */
export function tcpLook(host: string, port: number): Look {
  return (signal) =>
    new Promise((resolve, reject) => {
      const socket = connect({ host, port, signal });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.destroy();
        resolve();
      });
    });
}

export interface HttpLookOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** What must be answered; the official registry's default is 200. */
  readonly status: number;
}

/** `health.http`: a HEAD is answered with the expected status. */
export function httpLook({ url, headers, status }: HttpLookOptions): Look {
  const send = url.startsWith('https:') ? secureRequest : request;
  return (signal) =>
    new Promise((resolve, reject) => {
      const outgoing = send(url, { method: 'HEAD', headers: mutable(headers), signal, agent: false }, (incoming) => {
        incoming.resume();
        if (incoming.statusCode === status) resolve();
        else reject(new Error(`downstream service returned unexpected status: ${incoming.statusCode}`));
      });
      outgoing.once('error', reject);
      outgoing.end();
    });
}

function mutable(headers: HttpLookOptions['headers']): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]),
  );
}

/** `health.file`: the administrator takes the service out by making this file. */
export function fileLook(path: string, exists: (path: string) => Promise<boolean>): Look {
  return async () => {
    if (await exists(path)) throw new Error('file exists');
  };
}
