import { describe, expect, test } from 'vitest';
import type { Reader } from '../../../src/pull/content.ts';
import { Fresh } from '../../../src/pull/fill/fresh.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createScriptedPort } from '../../fakes/scripted-port.ts';
import { contentOf, createHouse, settle, sha256 } from './house.ts';

const PIECE = 64 * 1024;
const PIECES = 60;
const blob = randomBlob(PIECES * PIECE, 1);

/** A client at the frontier of a fill, who takes `bytes` at a time. */
async function pulled(bytes: number) {
  const hub = createScriptedPort('hub', () => ({ bytes: blob.bytes, chunkBytes: PIECE, pause: () => settle(2) }));
  const house = await createHouse({ chain: [hub] });
  const { content, from, to } = contentOf(await house.blob('a/b', blob.digest));
  const reader = await content.open(from, to, new AbortController().signal);
  const digest = sha256(await drained(reader, bytes));
  return { digest, reads: house.disk.calls('read') };
}

async function drained(reader: Reader, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const into = Buffer.alloc(bytes);
  for (let count = await reader.read(into); count > 0; count = await reader.read(into))
    chunks.push(Buffer.from(into.subarray(0, count)));
  reader.close();
  return Buffer.concat(chunks);
}

describe('what a fill has just written', () => {
  test('is read from memory by who waits for it', async () => {
    const { digest, reads } = await pulled(PIECE);
    expect(digest).toBe(blob.digest);
    expect(reads).toBeLessThan(PIECES / 10);
  });

  test('[promise 1] is read from the file by who is late, since its memory is used again', async () => {
    for (const bytes of [PIECE - 1, 40_000, 1000]) expect((await pulled(bytes)).digest).toBe(blob.digest);
  });

  test('[promise 1] the last of it too by who comes when the body has ended', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: blob.bytes, chunkBytes: 4 * PIECE }));
    const house = await createHouse({ chain: [hub] });
    const { content, from, to } = contentOf(await house.blob('a/b', blob.digest));
    const reader = await content.open(from, to, new AbortController().signal);
    await settle(400);
    expect(house.fills.running()).toEqual([]);
    expect(sha256(await drained(reader, PIECE))).toBe(blob.digest);
  });
});

describe('Fresh', () => {
  const into = (bytes: number): Buffer => Buffer.alloc(bytes, 0);

  test.each([
    { what: 'before it', position: 99, room: 10, count: 0, bytes: '' },
    { what: 'at its start', position: 100, room: 3, count: 3, bytes: 'abc' },
    { what: 'in it', position: 102, room: 10, count: 4, bytes: 'cdef' },
    { what: 'at its end', position: 106, room: 10, count: 0, bytes: '' },
    { what: 'behind it', position: 200, room: 10, count: 0, bytes: '' },
  ])('a reader $what', ({ position, room, count, bytes }) => {
    const fresh = new Fresh();
    fresh.show(Buffer.from('abcdef'), 100);
    const taken = into(room);
    expect(fresh.copy(taken, position)).toBe(count);
    expect(taken.subarray(0, count).toString()).toBe(bytes);
    fresh.forget();
    expect(fresh.copy(taken, position)).toBe(0);
  });
});
