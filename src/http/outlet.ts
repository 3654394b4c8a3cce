import type { Connection } from './connection.ts';
import type { EdgeClock } from './ports.ts';
import type { Exchange } from './exchange.ts';
import { cut } from './send.ts';

/** The client's connection has ended, by whomever. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/**
 * The way out of one answer's body: writes that end, by being taken, by the client's leaving, or by a stall. One write at a time, and
 * beside it one `orGone`.
 */
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
  /** Nothing is waited for any more. */
  close(): void;
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

  function add(one: Waiting): void {
    one.left = -1;
    one.quietLooks = 0;
    waiting.add(one);
    if (ticking) return;
    ticking = true;
    clock.after(stallMs / LOOKS, tick);
  }

  return {
    open(exchange) {
      const { connection, outgoing } = exchange;
      const one: Waiting = { connection, stop: () => cut(outgoing), left: -1, quietLooks: 0 };
      return createOutlet(exchange, clock, { begin: () => add(one), end: () => void waiting.delete(one) });
    },
    watch(connection, stop) {
      const one: Waiting = { connection, stop, left: -1, quietLooks: 0 };
      add(one);
      return () => void waiting.delete(one);
    },
  };
}

/**
 * Of a thousand slow readers each waits in a write, and most in a read besides, for seconds: long enough for the collector to take all
 * that such a wait consists of for old, and to keep it for minutes. So what lasts as long as the body is made once.
 */
function createOutlet(exchange: Exchange, clock: EdgeClock, stall: { begin(): void; end(): void }): Outlet {
  const { outgoing, connection } = exchange;
  let lastWriteMs = 0;
  let writing: ((error: Error) => void) | undefined;
  let working: ((error: Error) => void) | undefined;

  const forget = connection.onGone(() => {
    writing?.(gone());
    working?.(gone());
  });

  function settle(byteLength: number, start: (done: (error?: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (connection.gone) return reject(gone());
      const startedMs = clock.monotonic();
      stall.begin();
      const finish = (error?: Error | null): void => {
        if (writing !== finish) return;
        writing = undefined;
        stall.end();
        lastWriteMs = clock.monotonic() - startedMs;
        if (error) return reject(error);
        if (connection.gone) return reject(gone());
        exchange.bytes += byteLength;
        resolve();
      };
      writing = finish;
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
        working = reject;
        if (connection.gone) reject(gone());
        work.then(resolve, reject);
      }),
    lastWriteMs: () => lastWriteMs,
    close: forget,
  };
}

function gone(): ClientGone {
  return new ClientGone('the client has gone');
}
