import type { IncomingMessage } from 'node:http';
import { BodyCut, type PushBody } from '../push/body.ts';
import type { Connection } from './connection.ts';
import { announcesBody } from './guard.ts';
import type { EdgeClock } from './ports.ts';
import type { Outgoing } from './outgoing.ts';
import { discardBody } from './unread.ts';

/** Measured over so much time, a body that goes on must have brought so many bytes (reliability.md, S24). */
const RATE_WINDOW_MS = 5 * 60_000;
const RATE_BYTES_MIN = 64 * 1024;

export interface RequestBodyOptions {
  readonly incoming: IncomingMessage;
  readonly outgoing: Outgoing;
  readonly connection: Connection;
  readonly clock: EdgeClock;
  /** `http.stalltimeout`. */
  readonly stallMs: number;
}

/**
 * A request's body for whoever wants it, read no faster than it is asked for. What nobody wanted is thrown away from
 * `discard` on, which the answer calls before it leaves.
 */
export interface RequestBody extends PushBody {
  /** Idempotent; nothing can be read afterwards. */
  discard(): void;
}

export function createRequestBody(options: RequestBodyOptions): RequestBody {
  const { incoming, outgoing, connection, clock } = options;
  const announced = announcesBody(incoming);
  const waits = incoming.httpVersion !== '1.0' && /(?:^|\W)100-continue(?:$|\W)/i.test(incoming.headers.expect ?? '');
  const length = announced ? lengthOf(incoming) : 0;
  let asked = false;
  let discarded = false;
  let windowMs = clock.monotonic();
  let windowBytes = 0;

  /** RFC 9110 10.1.1. */
  function ask(): void {
    if (asked) return;
    asked = true;
    windowMs = clock.monotonic();
    if (waits) outgoing.writeContinue();
  }

  function count(bytes: number): void {
    windowBytes += bytes;
    if (clock.monotonic() - windowMs < RATE_WINDOW_MS) return;
    if (windowBytes < RATE_BYTES_MIN) throw new BodyCut(`it brought ${windowBytes} bytes in five minutes`);
    windowMs = clock.monotonic();
    windowBytes = 0;
  }

  /** Something to read, the end, or the end of waiting. */
  function somethingNew(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => {
        timer.cancel();
        forget();
        incoming.off('readable', onEvent).off('end', onEvent).off('close', onEvent);
        if (error === undefined) resolve();
        else reject(error);
      };
      const onEvent = (): void => settle();
      const timer = clock.after(options.stallMs, () =>
        settle(new BodyCut(`no byte of it came for ${options.stallMs / 1000} s`)),
      );
      let forget = (): void => undefined;
      incoming.on('readable', onEvent).on('end', onEvent).on('close', onEvent);
      forget = connection.onGone(() => settle(new BodyCut('the client has gone')));
    });
  }

  return {
    length,
    async next() {
      if (!announced || length === 0) return undefined;
      ask();
      for (;;) {
        if (discarded) throw new BodyCut('it is not wanted any more');
        const piece = incoming.read() as Buffer | null;
        if (piece !== null) {
          count(piece.byteLength);
          return piece;
        }
        if (incoming.readableEnded) return undefined;
        if (incoming.destroyed || connection.gone) throw new BodyCut('the client has gone');
        await somethingNew();
      }
    },
    discard() {
      if (discarded) return;
      discarded = true;
      if (!announced || incoming.readableEnded) return;
      // The client keeps its body, and Node would wait for it on a kept connection.
      if (waits && !asked) outgoing.shouldKeepAlive = false;
      discardBody({ incoming, outgoing, connection }, clock);
    },
  };
}

function lengthOf({ headers }: IncomingMessage): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined;
  const length = Number(headers['content-length']);
  return Number.isSafeInteger(length) ? length : undefined;
}
