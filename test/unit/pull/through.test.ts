import { describe, expect, test } from 'vitest';
import { Blame } from '../../../src/pull/fill/sources.ts';
import { throughContent } from '../../../src/pull/through.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { randomBlob, type Blob } from '../../fakes/images.ts';
import { createScriptedPort, type ScriptedPort } from '../../fakes/scripted-port.ts';
import { bytesOf, contentOf, createHouse, drain, gate, settle, type House } from './house.ts';

test('an answer that comes as its reader is closed is closed as well', async () => {
  const clock = createFakeClock();
  const blob = randomBlob(9000);
  const hub = createScriptedPort('hub', (_, at) => ({ bytes: blob.bytes, ...(at === 0 ? { breakAfter: 1000 } : {}) }));
  let close = (): void => undefined;
  const closing: Upstream = {
    ...hub,
    async ask(...asked) {
      const answer = await hub.ask(...asked);
      close();
      return answer;
    },
  };
  const source = { clock, report: () => undefined, blame: new Blame(clock), chain: [closing], size: blob.bytes.byteLength };
  const content = throughContent({ ...source, registry: 'docker.io', repository: 'a/b', digest: blob.digest });
  const reader = await content.open(0, undefined, new AbortController().signal);
  close = () => reader.close();
  await expect(reader.read(new Uint8Array(9000))).rejects.toThrow('the reader is closed');
  await settle();
  expect(hub.asked).toHaveLength(2);
  expect(hub.openBodies()).toBe(0);
  expect(clock.pending()).toBe(0);
});

/** Verified before their first byte; before the last 64 KiB. */
const small = randomBlob(9_000, 2);
const large = randomBlob(300_000, 3);
const FREE_BYTES = large.size - 64 * 1024;

const rangesOf = (hub: ScriptedPort): unknown[] => hub.gets().map(({ range }) => range);

/** Nothing can be kept, nor will it for a while. */
async function full(...chain: readonly ScriptedPort[]): Promise<House> {
  const house = await createHouse({ chain });
  house.disk.fail({ on: 'write', as: 'ENOSPC' });
  await drain(await house.blob('a/other', small.digest));
  return house;
}

function hubOf(): ScriptedPort {
  return createScriptedPort('hub', ({ reference }) => [small, large].find(({ digest }) => digest === reference)!);
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at]! ^= 1;
  return copy;
}

describe('[promise 1] a range of what passes through', () => {
  test.each<[string, Blob, number, number, unknown]>([
    ['of a small blob is of all of it, verified', small, 5_000, 5_010, undefined],
    ['that begins in the tail is of all of it, verified', large, large.size - 10, large.size, undefined],
    ['that ends in the tail is of all of it, verified', large, 1_000, FREE_BYTES + 1, undefined],
    ['that ends before the tail costs no more than it has', large, 1_000, FREE_BYTES, { from: 1_000, to: FREE_BYTES }],
  ])('%s', async (_, blob, from, to, range) => {
    const hub = hubOf();
    const house = await full(hub);
    const before = hub.gets().length;
    const reply = await house.blob('a/b', blob.digest, { range: `bytes=${from}-${to - 1}` });
    expect([reply.status, reply.headers['cache-status']]).toEqual([206, 'entrepot; fwd=bypass']);
    expect((await bytesOf(reply)).equals(blob.bytes.subarray(from, to))).toBe(true);
    expect(rangesOf(hub).slice(before)).toEqual([range]);
    expect(hub.openBodies()).toBe(0);
  });

  test.each([
    ['small', 8_999, small, 0, 10],
    ['small', 0, small, 8_000, 9_000],
    ['large', 0, large, large.size - 10, large.size],
    ['large', large.size - 1, large, FREE_BYTES - 5, FREE_BYTES + 5],
  ] as const)('of a %s blob whose byte %i is wrong never ends', async (_, wrongAt, blob, from, to) => {
    const hub = hubOf();
    const house = await full(hub);
    hub.say(({ method }) => ({ bytes: method === 'HEAD' ? blob.bytes : flipped(blob.bytes, wrongAt) }));
    const { bytes, broken } = await drain(await house.blob('a/b', blob.digest, { range: `bytes=${from}-${to - 1}` }));
    expect(String(broken)).toContain('the bytes passed through are not those of');
    expect(bytes.byteLength).toBeLessThan(to - from);
    expect(bytes.equals(blob.bytes.subarray(from, from + bytes.byteLength))).toBe(true);
    await settle();
    expect(hub.openBodies()).toBe(0);
  });

  test('whose fill loses its disk goes on from what was hashed, and no byte comes twice', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: large.bytes, chunkBytes: 50_000 }));
    const house = await createHouse({ chain: [hub] });
    house.disk.fail({ on: 'write', nth: 4, as: 'EIO' });
    const from = large.size - 10;
    const { bytes, broken } = await drain(await house.blob('a/b', large.digest, { range: `bytes=${from}-` }));
    expect(broken).toBeUndefined();
    expect(bytes.equals(large.bytes.subarray(from))).toBe(true);
    expect(rangesOf(hub)).toEqual([undefined, { from: 150_000 }]);
  });

  test('whose fill loses its disk is not taken for right where what goes on is wrong', async () => {
    const hub = createScriptedPort('hub', (_, at) => ({
      bytes: at === 0 ? large.bytes : flipped(large.bytes, 200_000),
      chunkBytes: 50_000,
    }));
    const house = await createHouse({ chain: [hub] });
    house.disk.fail({ on: 'write', nth: 4, as: 'EIO' });
    const { bytes, broken } = await drain(await house.blob('a/b', large.digest, { range: 'bytes=-10' }));
    expect(broken).toBeDefined();
    expect(bytes).toHaveLength(0);
  });

  test('whose fill loses its disk, which cannot be read either, begins anew', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: large.bytes, chunkBytes: 50_000 }));
    const house = await createHouse({ chain: [hub] });
    house.disk.fail({ on: 'write', nth: 6, as: 'EIO' });
    house.disk.fail({ on: 'read', as: 'EIO' });
    const from = FREE_BYTES + 100;
    const reply = await house.blob('a/b', large.digest, { range: `bytes=${from}-${from + 9}` });
    expect((await bytesOf(reply)).equals(large.bytes.subarray(from, from + 10))).toBe(true);
    expect(rangesOf(hub)).toEqual([undefined, undefined]);
  });
});

test('[promise 1] who has the first bytes of one body is cut where its disk fails, and not given the rest of another', async () => {
  const { opened, open } = gate();
  const first = { bytes: flipped(large.bytes, 0), hold: { after: 250_000, until: opened }, chunkBytes: 50_000 };
  const hub = createScriptedPort('hub', (_, at) => (at === 0 ? first : { bytes: large.bytes }));
  const house = await createHouse({ chain: [hub] });
  const reader = await contentOf(await house.blob('a/b', large.digest)).content.open(
    0,
    undefined,
    new AbortController().signal,
  );
  const into = Buffer.alloc(large.size);
  let read = 0;
  while (read < FREE_BYTES) read += await reader.read(into.subarray(read));
  for (const on of ['write', 'read'] as const) house.disk.fail({ on, as: 'EIO' });
  open();
  await expect(reader.read(into)).rejects.toThrow('EIO');
  reader.close();
});

test('[promise 7] what was spoilt once and loses its disk begins anew: no reader holds more than a small blob', async () => {
  const spoilt = randomBlob(2_000_000, 4);
  const { opened, open } = gate();
  const liar = createScriptedPort('liar', () => ({ bytes: flipped(spoilt.bytes, 5) }));
  const hold = { after: 500_000, until: opened };
  const hub = createScriptedPort('hub', (_, at) => ({ bytes: spoilt.bytes, ...(at === 0 ? { hold } : {}) }));
  const house = await createHouse({ chain: [liar, hub] });
  expect((await drain(await house.blob('a/b', spoilt.digest))).broken).toBeDefined();
  const whole = house.blob('a/b', spoilt.digest).then(bytesOf);
  const rest = house.blob('a/b', spoilt.digest, { range: 'bytes=1000-' }).then(bytesOf);
  await settle();
  house.disk.fail({ on: 'write', as: 'EIO' });
  open();
  expect((await whole).equals(spoilt.bytes)).toBe(true);
  expect((await rest).equals(spoilt.bytes.subarray(1000))).toBe(true);
  expect(rangesOf(hub)).toEqual([undefined, undefined, undefined]);
});

test('[promise 5] a range of a length that nobody had said when the disk failed is answered all the same', async () => {
  const hub = createScriptedPort('hub', (_, at) => ({ bytes: small.bytes, ...(at < 2 ? { size: null } : {}) }));
  const house = await createHouse({ chain: [hub] });
  house.disk.fail({ on: 'write', as: 'ENOSPC' });
  const reply = await house.blob('a/b', small.digest, { range: 'bytes=10-19' });
  expect([reply.status, reply.headers['content-range']]).toEqual([206, 'bytes 10-19/9000']);
  expect((await bytesOf(reply)).equals(small.bytes.subarray(10, 20))).toBe(true);
});

test('[promise 4] a range of a length that nobody says in time is answered by the whole', async () => {
  const { opened, open } = gate();
  const hub = createScriptedPort('hub', () => ({ bytes: large.bytes, size: null, hold: { after: 100_000, until: opened } }));
  const house = await createHouse({ chain: [hub] });
  const asked = house.blob('a/b', large.digest, { range: 'bytes=10-19' });
  await settle(60);
  await house.clock.advance(19_000);
  await settle(60);
  expect(await Promise.race([asked, Promise.resolve('waits')])).toBe('waits');
  await house.clock.advance(1_000);
  const reply = await asked;
  expect(reply.status).toBe(200);
  open();
  expect((await bytesOf(reply)).equals(large.bytes)).toBe(true);
});

test('[promise 5] a range of a length that nobody ever says is answered by the whole, when nothing can be kept', async () => {
  const hub = createScriptedPort('hub', () => ({ bytes: small.bytes, size: null }));
  const house = await createHouse({ chain: [hub] });
  house.disk.fail({ on: 'write', as: 'ENOSPC' });
  const reply = await house.blob('a/b', small.digest, { range: 'bytes=10-19' });
  expect(reply.status).toBe(200);
  expect((await bytesOf(reply)).equals(Buffer.from(small.bytes))).toBe(true);
});
