import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from './connection.ts';
import type { EdgeClock } from './ports.ts';

/**
 * Ends a listener: nobody new is let in; running answers go on and say `Connection: close`, or are closed behind their
 * end; connections that carry no request are closed at once and again each second, the silent fresh ones too, which Node
 * does not count as idle (R60). Resolves when all are gone, at `timeoutMs` by cutting what still runs. Called again: that
 * timeout counts for both, 0 is now.
 */
export type Drain = (timeoutMs: number) => Promise<void>;

export interface DrainOptions {
  readonly server: Server;
  readonly clock: EdgeClock;
  readonly connections: () => Iterable<Connection>;
  /** Every socket that was accepted, those in a TLS handshake too. */
  readonly sockets: () => Iterable<Socket>;
}

/** Connections end behind the answers that they carry, those that carry none at once. */
export function sayFarewell(connections: Iterable<Connection>): void {
  for (const connection of connections) {
    connection.closing = true;
    if (connection.live === 0) connection.wire.destroySoon();
  }
}

const LOOK_AGAIN_MS = 1000;

export function createDrain({ server, clock, connections, sockets }: DrainOptions): Drain {
  let closed: Promise<void> | undefined;

  function cutAll(): void {
    for (const socket of sockets()) socket.destroy();
  }

  function begin(): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      // Its error says that it was not listening: then there is nothing to wait for.
      server.close(() => resolve());
    });
    let timer = clock.after(LOOK_AGAIN_MS, lookAgain);
    function lookAgain(): void {
      sayFarewell(connections());
      timer = clock.after(LOOK_AGAIN_MS, lookAgain);
    }
    return ended.finally(() => timer.cancel());
  }

  return async (timeoutMs) => {
    closed ??= begin();
    sayFarewell(connections());
    if (timeoutMs <= 0) cutAll();
    const deadline = timeoutMs > 0 ? clock.after(timeoutMs, cutAll) : undefined;
    await closed;
    deadline?.cancel();
    // The server is closed a moment before its last sockets have said so.
    await Promise.all([...connections()].map((connection) => new Promise<void>((resolve) => connection.onGone(resolve))));
  };
}
