import { describe, expect, test } from 'vitest';
import type { Reader } from '../../../src/pull/content.ts';
import { Fresh } from '../../../src/pull/fill/fresh.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createScriptedPort } from '../../fakes/scripted-port.ts';
import { contentOf, createHouse, settle, sha256 } from './house.ts';

const PIECE = 64 * 1024;
const PIECES = 60;
const blob = randomBlob(PIECES * PIECE, 1);

/** A client at the frontier of a fill, who takes `bytes` at a time, and so long from one to the next. */
async function pulled(bytes: number, turns = 0) {
  const hub = createScriptedPort('hub', () => ({ bytes: blob.bytes, chunkBytes: PIECE, pause: () => settle(2) }));
  const house = await createHouse({ chain: [hub] });
  const { content, from, to } = contentOf(await house.blob('a/b', blob.digest));
  const reader = await content.open(from, to, new AbortController().signal);
  const digest = sha256(await drained(reader, bytes, turns));
  return { digest, reads: house.disk.calls('read') };
}

async function drained(reader: Reader, bytes: number, turns = 0): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const into = Buffer.alloc(bytes);
  for (let count = await reader.read(into); count > 0; count = await reader.read(into)) {
    chunks.push(Buffer.from(into.subarray(0, count)));
    if (turns > 0) await settle(turns);
  }
  reader.close();
  return Buffer.concat(chunks);
}

describe('what a fill has just written', () => {
  test('is read from memory by who waits for it', async () => {
    const { digest, reads } = await pulled(PIECE);
    expect(digest).toBe(blob.digest);
    expect(reads).toBeLessThan(PIECES / 10);
  });

  test('is read from memory by who is a few pieces late too', async () => {
    const { digest, reads } = await pulled(PIECE + 100);
    expect(digest).toBe(blob.digest);
    expect(reads).toBeLessThan(PIECES / 10);
  });

  test('[promise 1] is read from the file by who is late, since its memory is used again', async () => {
    for (const bytes of [PIECE - 1, 40_000, 1000]) expect((await pulled(bytes)).digest).toBe(blob.digest);
    // Later with each piece, by more and by less.
    for (const turns of [3, 4, 5, 6, 8]) expect((await pulled(PIECE, turns)).digest).toBe(blob.digest);
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

  test('is as long as its pieces, of which the oldest go first', () => {
    const fresh = new Fresh();
    for (const [at, text] of ['abc', 'def', 'ghi'].entries()) fresh.show(Buffer.from(text), 100 + 3 * at);
    const taken = into(20);
    expect([fresh.copy(taken, 101), taken.toString('latin1', 0, 8)]).toEqual([8, 'bcdefghi']);
    const few = into(4);
    expect([fresh.copy(few, 102), few.toString()]).toEqual([4, 'cdef']);
    fresh.forget(3);
    expect(fresh.copy(taken, 100)).toBe(9);
    fresh.forget(2);
    expect([fresh.copy(taken, 102), fresh.copy(taken, 103)]).toEqual([0, 6]);
  });
});
