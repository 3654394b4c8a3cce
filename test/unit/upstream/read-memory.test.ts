import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { createReadMemory, lookedAt } from '../../../src/upstream/read-memory.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { expectFound, never, serve, upstreamOf, wantBlob, type Handler } from './servers.ts';

const KIB = 1024;

/** A socket that notes what is pushed, and reads as node does: into the memory that it was given last. */
function reading() {
  const pushed: Uint8Array[] = [];
  const socket = { push: (bytes: Uint8Array) => pushed.push(bytes) > 0 } as unknown as Socket;
  const { buffer, callback } = createReadMemory(() => socket);
  const next = buffer as () => Uint8Array;
  let into = next();
  return {
    read(count: number): Uint8Array {
      callback(count, into);
      into = next();
      return pushed.at(-1)!;
    },
    memory: () => into.buffer,
  };
}

describe('the memory of a connection', () => {
  test('is read into again once its bytes were looked at', () => {
    const { read, memory } = reading();
    const memories = new Set<ArrayBufferLike>();
    for (let time = 0; time < 100; time += 1) {
      memories.add(memory());
      lookedAt(read(20 * KIB));
    }
    expect(memories.size).toBe(2);
  });

  test('is left alone while some of its bytes were not, and after the next were', () => {
    const { read, memory } = reading();
    const first = memory();
    const bytes = read(20 * KIB);
    lookedAt(bytes.subarray(0, 19 * KIB));
    const others = new Set<ArrayBufferLike>();
    for (let time = 0; time < 3; time += 1) {
      others.add(memory());
      read(20 * KIB);
    }
    expect(others.has(first)).toBe(false);
    expect(others.size).toBe(3);
  });

  test('is free where what was read after it was looked at, though of its own end nobody heard', () => {
    const { read, memory } = reading();
    const first = memory();
    lookedAt(read(20 * KIB).subarray(0, 19 * KIB));
    lookedAt(read(20 * KIB).subarray(0, 19 * KIB));
    read(20 * KIB);
    expect(memory()).toBe(first);
  });

  test('short reads are copied, so that none is kept for a head', () => {
    const { read, memory } = reading();
    const first = memory();
    const head = read(4 * KIB);
    expect(head.buffer).not.toBe(first);
    expect(memory()).toBe(first);
  });

  test('grows where a read fills it, up to 256 KiB', () => {
    const { read, memory } = reading();
    const sizes = [];
    for (let time = 0; time < 4; time += 1) {
      sizes.push(memory().byteLength / KIB);
      lookedAt(read(memory().byteLength));
    }
    expect(sizes).toEqual([64, 256, 256, 256]);
  });

  test('bytes of other memory are nobody’s business', () => {
    expect(() => lookedAt(Buffer.from('x'))).not.toThrow();
  });
});

const pem = (name: string): string => readFileSync(new URL(`tls/${name}.pem`, import.meta.url), 'utf8');
const CA = pem('ca');

describe('[promise 1] bodies over real sockets, with a reader that now and then takes its time', () => {
  const bytes = Buffer.concat(
    Array.from({ length: 3_000 }, (_, at) => createHash('sha512').update(`${at}`).digest()).flatMap((block) =>
      Array.from({ length: 16 }, () => block),
    ),
  );
  const cases = ['http', 'https'].flatMap((scheme) =>
    ['length', 'chunks'].flatMap((how) => [1, 2, 3].map((seed) => ({ scheme, how, seed }))),
  );

  test.each(cases)('$scheme, by $how, seed $seed', async ({ scheme, how, seed }) => {
    const send = async (response: ServerResponse): Promise<void> => {
      const random = createSeededRandom(seed);
      response.writeHead(200, how === 'length' ? { 'content-length': bytes.byteLength } : {});
      for (let at = 0; at < bytes.byteLength;) {
        const next = at + 1 + Math.floor(random.fraction() ** 3 * 900 * KIB);
        response.write(bytes.subarray(at, next));
        at = next;
        if (random.fraction() < 0.3) await turn();
      }
      response.end();
    };
    const handler: Handler = (_request, response) => void send(response);
    const server = await (scheme === 'http'
      ? serve(handler)
      : serve(handler, (listener) => createServer({ key: pem('server-key'), cert: pem('server') }, listener)));
    const hub = upstreamOf(server, scheme === 'http' ? {} : { tls: { ca: CA } });
    const random = createSeededRandom(seed + 100);
    // One connection after the other serves the same upstream again.
    for (let pull = 0; pull < 2; pull += 1) {
      const { body } = expectFound(await hub.ask(wantBlob(), never));
      const hash = createHash('sha256');
      for (let given = await body!.read(); given !== undefined; given = await body!.read()) {
        const before = Buffer.from(given);
        for (let turns = random.fraction() < 0.2 ? 20 : 0; turns > 0; turns -= 1) await turn();
        expect(before.equals(given), 'what was given changed').toBe(true);
        hash.update(given);
      }
      expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
    }
  });
});
