import type { Dispatcher } from 'undici';

import type { Clock } from '../system/clock.ts';
import { createBlocks } from './blocks.ts';

/** The bytes of one response as undici delivers them, with the limits that undici does not have. */
export interface ResponseBody {
  /**
   * The next bytes, as many as have come, `undefined` at the end; the reader's for {@link READS_KEPT} calls, and to the end. Rejects with
   * {@link Stalled}, undici's error, or the signal's reason.
   */
  read(): Promise<Uint8Array | undefined>;
  /** Ends the transfer if it still runs; its connection is lost. What was read last stays the reader's. */
  close(): void;
  /** For a body that nobody wants: lets a short one end, so that its connection can serve again, and cuts a long one. */
  discard(): void;
}

export interface BodyLimits {
  /** No byte for so long: stalled. */
  readonly stallMs: number;
  /** Fewer bytes than this over {@link BodyLimits.rateWindowMs} of waiting: stalled too, however steadily they drip. */
  readonly rateBytesPerSecond: number;
  readonly rateWindowMs: number;
}

/** R10: a drip of one byte per 200 ms never trips an idle limit. */
const RATE_BYTES_PER_SECOND = 16 * 1024;

/** With the usual limit of 15 s, a minute. */
const RATE_WINDOW_STALLS = 4;

/** The limits of a body that has stalled after so long without a byte. */
export function bodyLimits(stallMs: number): BodyLimits {
  return { stallMs, rateBytesPerSecond: RATE_BYTES_PER_SECOND, rateWindowMs: stallMs * RATE_WINDOW_STALLS };
}

export class Stalled extends Error {
  override readonly name = 'Stalled';
}

/** A reader that comes back within this time is quick: a disk takes a few milliseconds for a block, and a client of 200 MB/s five for a MiB. */
const QUICK_MS = 20;
/** An unwanted body longer than this, or slower than this, costs its connection. */
const DISCARD_BYTES_MAX = 64 * 1024;
const DISCARD_MS_MAX = 1000;

/** What the transport feeds, beside what its reader sees. */
export interface BodyFeed extends ResponseBody {
  /** The bytes are copied before it returns. */
  push(chunk: Uint8Array): void;
  end(): void;
  fail(error: Error): void;
}

/**
 * `ended` is called once, when the transfer is over in whichever way. Only time spent waiting for the upstream counts
 * against it, never the time that a slow reader takes. `length`: as the answer says it, for how much memory is worth while.
 */
export function createBody(
  controller: Dispatcher.DispatchController,
  clock: Clock,
  limits: BodyLimits,
  ended: () => void,
  length?: number,
): BodyFeed {
  const blocks = createBlocks(length);
  let over = false;
  let failure: Error | undefined;
  let discarding: { bytes: number; cancel: () => void } | undefined;
  let waiting:
    | { resolve: (chunk: Uint8Array | undefined) => void; reject: (error: Error) => void; cancel: () => void }
    | undefined;
  const rate = createRateMeter(limits);
  let takenAt = -Infinity;

  const take = (isQuick: boolean): Uint8Array | undefined => {
    const bytes = blocks.take(isQuick);
    if (bytes !== undefined) takenAt = clock.monotonic();
    return bytes;
  };
  const finish = (error?: Error): void => {
    if (over) return;
    over = true;
    failure = error;
    discarding?.cancel();
    const reader = waiting;
    waiting = undefined;
    reader?.cancel();
    // It hears of it before anything else comes from a socket: until then nothing is put where it still shows others what it had.
    if (reader !== undefined) blocks.end();
    if (error !== undefined) reader?.reject(error);
    else reader?.resolve(undefined);
    ended();
  };
  const abort = (error: Error): void => {
    finish(error);
    controller.abort(error);
  };
  const wait = (): Promise<Uint8Array | undefined> => {
    const started = clock.monotonic();
    const limitMs = Math.max(0, Math.min(limits.stallMs, rate.leftMs()));
    return new Promise((resolve, reject) => {
      const timer = clock.after(limitMs, () => {
        rate.waited(clock.monotonic() - started);
        if (limitMs < limits.stallMs && !rate.tooSlow()) return void again();
        abort(new Stalled(rate.tooSlow() ? 'the body drips too slowly' : `no byte of the body for ${limits.stallMs} ms`));
      });
      const again = (): void => void wait().then(resolve, reject);
      const cancel = (): void => {
        timer.cancel();
        rate.waited(clock.monotonic() - started);
      };
      waiting = { resolve, reject, cancel };
    });
  };

  return {
    push(chunk) {
      if (over || chunk.byteLength === 0) return;
      if (discarding !== undefined) {
        discarding.bytes += chunk.byteLength;
        if (discarding.bytes > DISCARD_BYTES_MAX) abort(new Error('an unwanted body was cut'));
        return;
      }
      rate.received(chunk.byteLength);
      blocks.push(chunk);
      const reader = waiting;
      if (reader !== undefined) {
        waiting = undefined;
        reader.cancel();
        reader.resolve(take(true));
        return;
      }
      if (blocks.unread() > blocks.enough()) controller.pause();
    },
    end: () => finish(),
    fail: (error) => finish(error),
    async read() {
      const bytes = take(clock.monotonic() - takenAt <= QUICK_MS);
      if (bytes !== undefined) {
        if (blocks.unread() <= blocks.enough() && controller.paused) controller.resume();
        return bytes;
      }
      if (over) blocks.end();
      if (failure !== undefined) throw failure;
      if (over) return undefined;
      if (controller.paused) controller.resume();
      return await wait();
    },
    close() {
      blocks.leave();
      if (!over) abort(new Error('the body was closed by its reader'));
    },
    discard() {
      if (over || discarding !== undefined) return;
      const timer = clock.after(DISCARD_MS_MAX, () => abort(new Error('an unwanted body was cut')));
      discarding = { bytes: blocks.unread(), cancel: () => timer.cancel() };
      blocks.leave();
      if (controller.paused) controller.resume();
    },
  };
}

/** Bytes and waiting time of the running window. */
function createRateMeter(limits: BodyLimits) {
  let bytes = 0;
  let waitedMs = 0;
  const tooSlow = (): boolean =>
    waitedMs >= limits.rateWindowMs && bytes < (limits.rateBytesPerSecond * limits.rateWindowMs) / 1000;
  return {
    tooSlow,
    received(count: number): void {
      bytes += count;
    },
    waited(ms: number): void {
      if (waitedMs >= limits.rateWindowMs && !tooSlow()) {
        bytes = 0;
        waitedMs = 0;
      }
      waitedMs += ms;
    },
    leftMs: (): number => limits.rateWindowMs - waitedMs,
  };
}
