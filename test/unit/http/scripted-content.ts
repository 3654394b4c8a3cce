import type { Content, Reader } from '../../../src/pull/content.ts';
import { etagOf } from '../../../src/pull/content.ts';
import type { Pull } from '../../../src/pull/pull.ts';
import type { Reply } from '../../../src/pull/reply.ts';
import { DIGEST } from './edge.ts';

export interface Script {
  /** Fails at opening, or at the nth read (from 1). */
  readonly failAt?: 'open' | number;
  /** The nth read (from 1) of each reader waits for this first. */
  readonly gate?: (nth: number) => Promise<void> | undefined;
  /** A read yields no more than this. */
  readonly chunkMax?: number;
}

export interface ScriptedContent extends Content {
  readonly counts: { opened: number; closed: number; reads: number };
}

/** Content over bytes at hand, which counts what is done with it. */
export function scriptedContent(bytes: Buffer, script: Script = {}): ScriptedContent {
  const counts = { opened: 0, closed: 0, reads: 0 };
  return {
    digest: DIGEST,
    size: bytes.byteLength,
    etag: etagOf(DIGEST),
    counts,
    async open(from, to) {
      counts.opened += 1;
      if (script.failAt === 'open') {
        counts.closed += 1;
        throw new Error('it does not open');
      }
      return scriptedReader(bytes.subarray(from, to), script, counts);
    },
  };
}

function scriptedReader(bytes: Buffer, script: Script, counts: ScriptedContent['counts']): Reader {
  let position = 0;
  let reads = 0;
  let closed = false;
  return {
    async read(into) {
      if (closed) throw new Error('read after close');
      reads += 1;
      counts.reads += 1;
      await script.gate?.(reads);
      if (reads === script.failAt) throw new Error(`read ${reads} fails`);
      const count = Math.min(into.byteLength, script.chunkMax ?? Infinity, bytes.byteLength - position);
      into.set(bytes.subarray(position, position + count));
      position += count;
      return count;
    },
    close() {
      if (!closed) counts.closed += 1;
      closed = true;
    },
  };
}

/** 200 with the whole content; `declared`: the length that the head promises. `null`: none, so chunked. */
export function wholeReply(content: Content, declared: number | null | undefined = content.size): Reply {
  return {
    status: 200,
    headers: {
      'content-type': 'application/octet-stream',
      ...(typeof declared === 'number' ? { 'content-length': String(declared) } : {}),
    },
    body: { kind: 'content', content, from: 0, to: undefined },
  };
}

export function pullOf(reply: Reply): Pull {
  return () => Promise.resolve(reply);
}
