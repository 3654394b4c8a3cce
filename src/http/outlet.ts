import type { Connection } from './connection.ts';
import type { EdgeClock } from './ports.ts';
import type { Exchange } from './exchange.ts';
import { cut } from './send.ts';

/** The client's connection has ended, by whomever. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** The way out of one answer's body: writes that end, by being taken, by the client's leaving, or by a stall. */
export interface Outlet {
  /**
   * Resolves when the kernel has taken all of `bytes`, which may then be reused. Rejects when the client has gone, when it
   * took nothing for the stall time (it is then cut), or when there are more bytes than were promised.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the body, with a last piece if one is given. Resolves when all of it was taken; rejects as `write` does. */
  end(bytes?: Uint8Array): Promise<void>;
  /** What `work` resolves to, unless the client goes first. */
  orGone<T>(work: Promise<T>): Promise<T>;
  /** How long the last write took. */
  lastWriteMs(): number;
}

/** Looks at all answers that wait for their clients, together, so that a write costs no timer. */
export interface StallWatch {
  open(exchange: Exchange): Outlet;
  /** Looks after something that is being written, until the function is called: `stop` when nothing of it moves any more. */
  watch(connection: Connection, stop: () => void): () => void;
}

/** A client is looked at so often within the stall time; it is cut when nothing moved at so many looks. */
const LOOKS = 4;

interface Waiting {
  readonly connection: Connection;
  readonly stop: () => void;
  /** Bytes not yet taken, at the last look. */
  left: number;
  quietLooks: number;
}

/** `stallMs`: `http.stalltimeout`. A client that takes no byte for so long is cut, at the latest a quarter later. */
export function createStallWatch(clock: EdgeClock, stallMs: number): StallWatch {
  const waiting = new Set<Waiting>();
  let ticking = false;

  function tick(): void {
    ticking = waiting.size > 0;
    if (!ticking) return;
    for (const one of waiting) look(one);
    clock.after(stallMs / LOOKS, tick);
  }

  function look(one: Waiting): void {
    const left = one.connection.unsent();
    one.quietLooks = left === one.left ? one.quietLooks + 1 : 0;
    one.left = left;
    // The first look may come right after the write began: it only takes the measure.
    if (one.quietLooks >= LOOKS) one.stop();
  }

  function watch(connection: Connection, stop: () => void): () => void {
    const one: Waiting = { connection, stop, left: -1, quietLooks: 0 };
    waiting.add(one);
    if (!ticking) {
      ticking = true;
      clock.after(stallMs / LOOKS, tick);
    }
    return () => void waiting.delete(one);
  }

  return {
    open: (exchange) => createOutlet(exchange, clock, () => watch(exchange.connection, () => cut(exchange.outgoing))),
    watch,
  };
}

function createOutlet(exchange: Exchange, clock: EdgeClock, watch: () => () => void): Outlet {
  const { outgoing, connection } = exchange;
  let lastWriteMs = 0;

  function settle(byteLength: number, start: (done: (error?: Error | null) => void) => void): Promise<void> {
    const startedMs = clock.monotonic();
    return new Promise((resolve, reject) => {
      if (connection.gone) return reject(new ClientGone('the client has gone'));
      let settled = false;
      const unwatch = watch();
      const finish = (error?: Error | null): void => {
        if (settled) return;
        settled = true;
        unwatch();
        forget();
        lastWriteMs = clock.monotonic() - startedMs;
        if (error) return reject(error);
        if (connection.gone) return reject(new ClientGone('the client has gone'));
        exchange.bytes += byteLength;
        resolve();
      };
      const forget = connection.onGone(() => finish(new ClientGone('the client has gone')));
      try {
        start(finish);
      } catch (error) {
        finish(error as Error);
      }
    });
  }

  return {
    write: (bytes) => settle(bytes.byteLength, (done) => outgoing.write(bytes, done)),
    async end(bytes) {
      await settle(bytes?.byteLength ?? 0, (done) => {
        // Before its close is heard of, which comes right behind.
        const last = (error?: Error | null): void => {
          exchange.whole = !error && !connection.gone;
          done(error);
        };
        if (bytes === undefined) outgoing.end(last);
        else outgoing.end(bytes, last);
      });
    },
    orGone: (work) =>
      new Promise((resolve, reject) => {
        const forget = connection.onGone(() => reject(new ClientGone('the client has gone')));
        work.then(resolve, reject).finally(forget);
      }),
    lastWriteMs: () => lastWriteMs,
  };
}
