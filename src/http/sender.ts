import type { Content, Reader } from '../pull/content.ts';
import type { Reply, ReplyPart } from '../pull/reply.ts';
import type { Buffers } from './buffers.ts';
import type { Exchange } from './exchange.ts';
import { lease, type Lease } from './lease.ts';
import type { Outlet, StallWatch } from './outlet.ts';
import type { EdgeClock } from './ports.ts';
import { begin, cut } from './send.ts';
import { createTurns, type Turns } from './turns.ts';

export interface SenderOptions {
  readonly clock: EdgeClock;
  readonly buffers: Buffers;
  readonly stalls: StallWatch;
  /** Calls back in the event loop's next turn. */
  readonly soon: (work: () => void) => void;
}

/**
 * Writes a reply out and resolves when it has left or was cut. Rejects only while nothing has been written: when the
 * content cannot be opened or its first bytes cannot be read (S48), or a header cannot be sent; the caller then answers
 * with an error. After the head, what fails is cut and never looks like an end.
 *
 * The exchange owns its socket. Readers opened here are closed here. HEAD opens none (R54).
 */
export type Sender = (exchange: Exchange, reply: Reply) => Promise<void>;

export function createSender(options: SenderOptions): Sender {
  const turns = createTurns(options.soon);
  return async (exchange, reply) => {
    exchange.body.discard();
    const borrowed = lease(exchange.connection, options.buffers);
    const outlet = options.stalls.open(exchange);
    try {
      await sendBody({ exchange, reply, lease: borrowed, outlet, turns, clock: options.clock });
    } catch (error) {
      borrowed.abandon();
      if (!exchange.outgoing.headersSent) throw error;
      cut(exchange.outgoing);
    } finally {
      outlet.close();
    }
  };
}

interface Sending {
  readonly exchange: Exchange;
  readonly reply: Reply;
  readonly outlet: Outlet;
  readonly lease: Lease;
  readonly turns: Turns;
  readonly clock: EdgeClock;
}

async function sendBody(sending: Sending): Promise<void> {
  const { exchange, reply, outlet } = sending;
  const { body } = reply;
  if (exchange.method === 'HEAD' || body.kind === 'none' || reply.headers['content-length'] === '0') {
    start(sending);
    return outlet.end();
  }
  if (body.kind === 'bytes') {
    start(sending);
    return outlet.end(body.bytes);
  }
  if (body.kind === 'content') await sendContent(sending, body.content, body.from, body.to);
  else await sendParts(sending, body.content, body.parts, body.tail);
}

function start({ exchange, clock, reply }: Sending): void {
  begin(exchange, clock, reply.status, reply.headers);
}

async function sendContent(sending: Sending, content: Content, from: number, to: number | undefined): Promise<void> {
  const declared = sending.reply.headers['content-length'];
  const promised = declared === undefined ? undefined : Number(declared);
  await pump(sending, content, { from, to, promised }, async () => start(sending));
  await sending.outlet.end();
}

async function sendParts(sending: Sending, content: Content, parts: readonly ReplyPart[], tail: Uint8Array): Promise<void> {
  const { exchange, outlet } = sending;
  for (const { head, from, to } of parts) {
    await pump(sending, content, { from, to, promised: to - from }, async () => {
      if (!exchange.outgoing.headersSent) start(sending);
      await outlet.write(head);
    });
  }
  await outlet.end(tail);
}

interface Span {
  readonly from: number;
  readonly to: number | undefined;
  /** How many bytes must come; `undefined`: nobody knows. */
  readonly promised: number | undefined;
}

/** Copies a span of the content to the client; `before` is called once, when its first bytes are there. */
async function pump(sending: Sending, content: Content, span: Span, before: () => Promise<void>): Promise<void> {
  const { exchange, outlet } = sending;
  const opening = content.open(span.from, span.to, exchange.signal);
  const reader = await outlet.orGone(opening).catch((error: unknown) => {
    // Should it open after all, when nobody waits any more.
    opening.then((late) => late.close()).catch(() => undefined);
    throw error;
  });
  try {
    await copy(sending, reader, span, before);
  } finally {
    reader.close();
  }
}

/** One buffer is read into while the other is being written. */
async function copy(sending: Sending, reader: Reader, span: Span, before: () => Promise<void>): Promise<void> {
  const { outlet, lease: buffers, turns } = sending;
  let sent = 0;
  let begun = false;
  let busy: Buffer | undefined;
  let writing: Promise<void> | undefined;

  try {
    while (sent !== span.promised) {
      const turn = turns.take();
      if (turn !== undefined) await turn;
      if (!buffers.available(busy)) await writing;
      const buffer = buffers.take();
      const count = await outlet.orGone(reader.read(buffer));
      if (isLast(span, sent, count)) await checkCount(sending, reader, span, sent, count);
      if (!begun) await before();
      begun = true;
      if (busy !== undefined) await writing;
      if (count === 0) {
        buffers.giveBack(buffer);
        break;
      }
      sent += count;
      buffers.adapt({ count, room: buffer.byteLength, sent, lastWriteMs: outlet.lastWriteMs() });
      busy = buffer;
      writing = outlet.write(count === buffer.byteLength ? buffer : buffer.subarray(0, count)).then(() => {
        buffers.giveBack(buffer);
        busy = undefined;
      });
      // Awaited in the next turn; until then its rejection is nobody's.
      writing.catch(ignore);
    }
    await writing;
  } catch (error) {
    // What was read before it failed is right, and the client goes on from there: a cut would drop it.
    await writing?.catch(ignore);
    throw error;
  }
}

function ignore(): void {}

/** No piece but these can be wrong, and a piece is cheap where nothing is made for it. */
function isLast({ promised }: Span, sent: number, count: number): boolean {
  return count === 0 || (promised !== undefined && sent + count >= promised);
}

/**
 * Throws before a byte leaves that would make a wrong body look whole: at an end that comes too early, and at the last
 * byte promised when the reader, asked for everything up to the end, holds more (S18).
 */
async function checkCount(sending: Sending, reader: Reader, span: Span, sent: number, count: number): Promise<void> {
  const { promised, to } = span;
  if (promised === undefined) return;
  const total = sent + count;
  if (count === 0) throw new Error(`the content ended at ${sent} of ${promised} bytes`);
  const surplus = total > promised || (total === promised && to === undefined && (await holdsMore(sending, reader)));
  if (surplus) throw new Error(`the content holds more than the ${promised} bytes promised`);
}

async function holdsMore(sending: Sending, reader: Reader): Promise<boolean> {
  return (await sending.outlet.orGone(reader.read(Buffer.allocUnsafeSlow(1)))) > 0;
}
