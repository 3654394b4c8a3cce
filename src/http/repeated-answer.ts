import type { OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Reply } from '../pull/reply.ts';
import type { Trace } from '../pull/trace.ts';
import { createAnswerMemory, own, type Pieces } from './answer-memory.ts';
import type { Connection } from './connection.ts';
import { createFieldsText, type FieldsText } from './fields-text.ts';
import { publicAddress } from './public-address.ts';
import type { Known, RepeatsOptions } from './repeats.ts';

/** A request that came again, on its way to an answer. */
export interface Answering {
  readonly request: Known;
  readonly client: string;
  readonly socket: Socket;
  readonly connection: Connection;
  /** Monotonic, ms. */
  readonly startedMs: number;
  readonly trace: Trace;
}

/**
 * Answers without a response of Node's, and reports as handler.ts does. False, and nothing was done, where a field cannot be sent.
 *
 * What is to be written waits until everything that has arrived in this turn of the loop was looked at: a client that sleeps is woken by the
 * first answer, at a cost of 40 us on a virtual machine, and takes those behind it without.
 */
export function createRepeatedAnswer(options: RepeatsOptions): (answering: Answering, reply: Reply) => boolean {
  const { report, clock, stalls, addresses } = options;
  const write = together(options.soon);
  const fieldsText = createFieldsText();
  const memory = createAnswerMemory();
  const endOfHead = createEndOfHead(options);

  function tell({ request, client, socket, startedMs, trace }: Answering, { status, bytes, firstByteMs, aborted }: Sent): void {
    const { handler, method, path, clientKind, userAgent, host } = request;
    const publicUrl = (): string | undefined => publicAddress({ headers: { host }, socket }, undefined, addresses);
    report({
      kind: 'request',
      trace,
      handler,
      method,
      path,
      status,
      bytes,
      firstByteMs,
      ms: clock.monotonic() - startedMs,
      client,
      clientKind,
      user: undefined,
      limited: undefined,
      userAgent,
      host,
      publicAddress: publicUrl,
      aborted,
    });
  }

  function send(answering: Answering, status: number, pieces: Pieces, bytes: number): void {
    const { connection, socket, startedMs } = answering;
    let unwatch = (): void => undefined;
    let ended = false;
    const end = (error?: Error | null): void => {
      if (ended) return;
      ended = true;
      unwatch();
      connection.leave();
      const whole = !error && !connection.gone;
      tell(answering, { status, bytes: whole ? bytes : 0, firstByteMs, aborted: !whole });
    };
    const isPlain = !('encrypted' in socket);
    socket.write(isPlain ? memory.shared(pieces) : own(pieces), end);
    const firstByteMs = clock.monotonic() - startedMs;
    // Most of the time the kernel has it all at once.
    if (socket.writableLength === 0) return end();
    if (isPlain) memory.keep();
    unwatch = stalls.watch(connection, () => socket.destroy());
  }

  return (answering, reply) => {
    const { request, connection, trace } = answering;
    const fields = fieldsOf(fieldsText, request.commonHeaders, trace.requestId, reply.headers);
    if (fields === undefined) return false;
    const body = reply.body.kind === 'bytes' ? [reply.body.bytes] : [];
    const pieces = [STATUS_LINE, ...fields, endOfHead(), ...body];
    report({ kind: 'request started', handler: request.handler });
    connection.enter();
    const leave = (): void => {
      if (connection.due !== leave) return;
      connection.due = undefined;
      send(answering, reply.status, pieces, body[0]?.byteLength ?? 0);
    };
    connection.due = leave;
    write(leave);
    return true;
  };
}

export const REQUEST_ID = 'x-request-id';

interface Sent {
  readonly status: number;
  readonly bytes: number;
  readonly firstByteMs: number;
  readonly aborted: boolean;
}

function together(soon: RepeatsOptions['soon']): (work: () => void) => void {
  let waiting: (() => void)[] = [];
  const all = (): void => {
    const now = waiting;
    waiting = [];
    for (const work of now) work();
  };
  return (work) => {
    if (waiting.push(work) === 1) soon(all);
  };
}

const STATUS_LINE = Buffer.from('HTTP/1.1 200 OK\r\n');

/** Those of the single answer win. `undefined` where one of them cannot be sent (reliability.md, S21). */
function fieldsOf(
  textOf: FieldsText,
  common: OutgoingHttpHeaders,
  requestId: string,
  headers: OutgoingHttpHeaders,
): Pieces | undefined {
  for (const name in headers)
    if (name in common || name === REQUEST_ID) {
      const all = textOf({ ...common, [REQUEST_ID]: requestId, ...headers });
      return all && [all];
    }
  const [before, behind] = [textOf(common), textOf(headers)];
  return before === undefined || behind === undefined ? undefined : [before, `${REQUEST_ID}: `, requestId, '\r\n', behind];
}

/** What Node says behind the fields of every answer: the same for all within a second. */
function createEndOfHead({ date, keepAliveSeconds }: RepeatsOptions): () => Buffer {
  let said = '';
  let bytes = Buffer.alloc(0);
  return () => {
    const now = date();
    if (now === said) return bytes;
    said = now;
    bytes = Buffer.from(`Date: ${now}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${keepAliveSeconds}\r\n\r\n`, 'latin1');
    return bytes;
  };
}
