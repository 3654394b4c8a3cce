import { RegistryError } from '../../src/oci/errors.ts';
import type { Reader } from '../../src/pull/content.ts';
import type { PullTarget } from '../../src/pull/pull.ts';
import type { Reply } from '../../src/pull/reply.ts';
import { newTrace, type Outcome } from '../../src/pull/trace.ts';
import type { Server } from './server.ts';

/** What a client asks for. */
export interface Wish {
  readonly method: 'GET' | 'HEAD';
  /** With its registry: `docker.io/library/a`. */
  readonly repository: string;
  readonly kind: 'manifest' | 'blob';
  /** Tag or digest. */
  readonly reference: string;
  /** As in the header: `bytes=0-9`. */
  readonly range?: string | undefined;
  /** It leaves when it has so many bytes; 0: while it waits for the answer. */
  readonly leavesAfter?: number | undefined;
  /** It reads so much, then waits so long. */
  readonly drip?: { readonly bytes: number; readonly ms: number } | undefined;
}

/**
 * How it ended. `whole`: by its own length, as far as one was said. `cut`: broken off by us. `left`: broken off by the client.
 * `refused`: an error. `lost`: the process died.
 */
export type End = 'whole' | 'cut' | 'left' | 'refused' | 'lost';

export interface Answer {
  readonly wish: Wish;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly end: End;
  /** 0 where none came. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
  readonly outcome: Outcome | undefined;
  /** Why it was refused or cut. */
  readonly why: unknown;
  /** The version of its register, if it was hosted beyond doubt when it was asked for. */
  readonly sure?: number | undefined;
}

export interface Waiting {
  readonly now: () => number;
  pause(ms: number): Promise<void>;
}

/** What the edge does with a request, without sockets. Rejects never. */
export async function pull(server: Server, wish: Wish, { now, pause }: Waiting, gone: AbortSignal): Promise<Answer> {
  const startedAt = now();
  const trace = newTrace('1');
  const leaving = new AbortController();
  const signal = AbortSignal.any([gone, leaving.signal]);
  const answer = (end: End, reply: Partial<Reply> | undefined, bytes: Buffer, why?: unknown): Answer => ({
    wish,
    startedAt,
    endedAt: now(),
    end,
    status: reply?.status ?? 0,
    headers: reply?.headers ?? {},
    bytes,
    outcome: trace.outcome,
    why,
  });
  try {
    const { method, range } = wish;
    const target = server.chains().parseName(pathOf(wish), undefined) as PullTarget;
    if (wish.leavesAfter === 0) void pause(5).then(() => leaving.abort(new Error('the client left')));
    const reply = await server.pulling.pull({ method, target, range, signal, trace });
    const { bytes, end, why } = await drain(reply, wish, {
      pause,
      signal,
      leave: () => leaving.abort(new Error('the client left')),
    });
    return answer(end, reply, bytes, why);
  } catch (error) {
    if (signal.aborted) return answer('left', undefined, Buffer.alloc(0), error);
    const status = error instanceof RegistryError ? error.status : 500;
    return answer('refused', { status }, Buffer.alloc(0), error);
  }
}

function pathOf({ repository, kind, reference }: Wish): string {
  return `/v2/${repository}/${kind}s/${reference}`;
}

interface Draining {
  pause(ms: number): Promise<void>;
  readonly signal: AbortSignal;
  leave(): void;
}

async function drain(
  { headers, body, status }: Reply,
  { method, leavesAfter = Infinity, drip }: Wish,
  { pause, signal, leave }: Draining,
): Promise<{ readonly bytes: Buffer; readonly end: End; readonly why: unknown }> {
  const none = Buffer.alloc(0);
  const done = status >= 400 ? 'refused' : 'whole';
  if (method === 'HEAD' || body.kind === 'none') return { bytes: none, end: done, why: undefined };
  if (body.kind === 'bytes') return { bytes: Buffer.from(body.bytes), end: done, why: undefined };
  if (body.kind === 'parts') throw new Error('nobody asked for several ranges');
  const promised = headers['content-length'] === undefined ? Infinity : Number(headers['content-length']);
  const chunks: Buffer[] = [];
  let sent = 0;
  let unpaused = 0;
  let reader: Reader | undefined;
  try {
    reader = await body.content.open(body.from, body.to, signal);
    const into = Buffer.allocUnsafe(Math.min(drip?.bytes ?? 65_536, promised, 65_536));
    while (sent < promised) {
      const count = await reader.read(into);
      if (count === 0) break;
      chunks.push(Buffer.from(into.subarray(0, count)));
      sent += count;
      if (sent >= leavesAfter) leave();
      if (signal.aborted) return { bytes: Buffer.concat(chunks), end: 'left', why: undefined };
      unpaused += count;
      if (drip === undefined || unpaused < drip.bytes) continue;
      unpaused = 0;
      await pause(drip.ms);
    }
    const isShort = promised !== Infinity && sent !== promised;
    return {
      bytes: Buffer.concat(chunks),
      end: isShort ? 'cut' : 'whole',
      why: isShort ? new Error('its length is wrong') : undefined,
    };
  } catch (error) {
    return { bytes: Buffer.concat(chunks), end: signal.aborted ? 'left' : 'cut', why: error };
  } finally {
    reader?.close();
  }
}
