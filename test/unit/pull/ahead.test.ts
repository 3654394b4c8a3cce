import { describe, expect, test } from 'vitest';
import { randomBlob } from '../../fakes/images.ts';
import { createScriptedPort } from '../../fakes/scripted-port.ts';
import { bytesOf, contentOf, createHouse, gate, settle, sha256 } from './house.ts';

const MIB = 1024 * 1024;
const big = randomBlob(10 * MIB, 4);
const TAIL = 64 * 1024;

/** A fill that has come to `after` bytes in `ms`, and waits. */
async function running(after: number, ms: number) {
  const { opened, open } = gate();
  const hub = createScriptedPort('hub', async ({ range }, at) => {
    if (at > 0) return { bytes: big.bytes };
    expect(range).toBeUndefined();
    return { bytes: big.bytes, hold: { after, until: opened } };
  });
  const house = await createHouse({ chain: [hub] });
  const first = await house.blob('a/b', big.digest);
  await settle(60);
  await house.clock.advance(ms);
  return { hub, house, open, first };
}

describe('a range ahead of the frontier', () => {
  test('[decision 6] waits where the rate will bring it within two seconds', async () => {
    const { hub, house, open } = await running(4 * MIB, 1000);
    const reply = await house.blob('a/b', big.digest, { range: `bytes=${8 * MIB}-${8 * MIB + 99}` });
    expect(reply.headers['cache-status']).toBe('entrepot; fwd=miss; collapsed');
    const reading = bytesOf(reply);
    await settle();
    open();
    expect((await reading).equals(big.bytes.subarray(8 * MIB, 8 * MIB + 100))).toBe(true);
    expect(hub.gets()).toHaveLength(1);
  });

  test('[P64] [decision 6] passes through where it will not, and the fill goes on', async () => {
    const { hub, house, open, first } = await running(1 * MIB, 10_000);
    const reply = await house.blob('a/b', big.digest, { range: `bytes=${8 * MIB}-${8 * MIB + 99}` });
    expect([reply.status, reply.headers['cache-status']]).toEqual([206, 'entrepot; fwd=partial']);
    expect((await bytesOf(reply)).equals(big.bytes.subarray(8 * MIB, 8 * MIB + 100))).toBe(true);
    expect(hub.gets().map(({ range }) => range)).toEqual([undefined, { from: 8 * MIB, to: 8 * MIB + 100 }]);
    open();
    expect(sha256(await bytesOf(first))).toBe(big.digest);
    await settle();
    expect(house.disk.openFiles()).toEqual([]);
  });

  for (const breakAs of ['stall', 'cut'] as const) {
    test(`[decision 3] what passes through goes on at the next upstream where the first sends nothing (${breakAs})`, async () => {
      const { opened, open } = gate();
      const one = createScriptedPort('one', (_, at) =>
        at === 0 ? { bytes: big.bytes, hold: { after: 1 * MIB, until: opened } } : { bytes: big.bytes, breakAfter: 0, breakAs },
      );
      const two = createScriptedPort('two', () => ({ bytes: big.bytes }));
      const house = await createHouse({ chain: [one, two] });
      const first = await house.blob('a/b', big.digest);
      await settle(60);
      await house.clock.advance(10_000);
      const reply = await house.blob('a/b', big.digest, { range: `bytes=${8 * MIB}-${8 * MIB + 99}` });
      expect((await bytesOf(reply)).equals(big.bytes.subarray(8 * MIB, 8 * MIB + 100))).toBe(true);
      expect([one.gets().length, two.gets().length]).toEqual([breakAs === 'stall' ? 2 : 3, 1]);
      open();
      expect(sha256(await bytesOf(first))).toBe(big.digest);
    });
  }

  test('[promise 1] what passes through ends before the tail; that comes from the fill when it is verified', async () => {
    const { hub, house, open } = await running(1 * MIB, 10_000);
    const from = 8 * MIB;
    const reply = await house.blob('a/b', big.digest, { range: `bytes=${from}-` });
    const reader = await contentOf(reply).content.open(from, undefined, new AbortController().signal);
    const into = Buffer.alloc(big.size);
    let read = 0;
    while (read < big.size - TAIL - from) read += await reader.read(into.subarray(read));
    expect(read).toBe(big.size - TAIL - from);
    const rest = reader.read(into.subarray(read));
    await settle();
    expect(await Promise.race([rest, Promise.resolve('waits')])).toBe('waits');
    expect(hub.gets()[1]!.range).toEqual({ from, to: big.size - TAIL });
    open();
    read += await rest;
    while (read < big.size - from) read += await reader.read(into.subarray(read));
    reader.close();
    expect(into.subarray(0, read).equals(big.bytes.subarray(from))).toBe(true);
  });

  test('[promise 1] a range that begins in the tail waits for the digest, however long', async () => {
    const { hub, house, open } = await running(1 * MIB, 10_000);
    const reading = bytesOf(await house.blob('a/b', big.digest, { range: 'bytes=-100' }));
    await settle();
    await house.clock.advance(60_000);
    expect(await Promise.race([reading, Promise.resolve('waits')])).toBe('waits');
    expect(hub.gets()).toHaveLength(1);
    open();
    expect((await reading).equals(big.bytes.subarray(-100))).toBe(true);
  });

  test('[decision 6] what was promised within two seconds and did not come is asked of an upstream', async () => {
    const { hub, house } = await running(4 * MIB, 1000);
    const reading = bytesOf(await house.blob('a/b', big.digest, { range: `bytes=${8 * MIB}-${8 * MIB + 99}` }));
    await settle();
    await house.clock.advance(1_900);
    expect(hub.gets()).toHaveLength(1);
    await house.clock.advance(200);
    expect((await reading).equals(big.bytes.subarray(8 * MIB, 8 * MIB + 100))).toBe(true);
    expect(hub.gets()).toHaveLength(2);
  });

  test('[decision 6] at most four of one blob; the fifth waits', async () => {
    const { hub, house, open } = await running(1 * MIB, 10_000);
    const signal = new AbortController().signal;
    const ranges = [0, 1, 2, 3, 4].map((at) => 8 * MIB + at * 1000);
    const replies = [];
    const readers = [];
    for (const from of ranges) {
      const reply = await house.blob('a/b', big.digest, { range: `bytes=${from}-${from + 9}` });
      replies.push(reply.headers['cache-status']);
      readers.push(contentOf(reply).content.open(from, from + 10, signal));
      await settle();
    }
    expect(replies).toEqual([...Array<string>(4).fill('entrepot; fwd=partial'), 'entrepot; fwd=miss; collapsed']);
    expect(hub.gets()).toHaveLength(5);
    open();
    for (const reader of readers) (await reader).close();
    await settle();
    expect(house.disk.openFiles()).toEqual([]);
    expect(hub.openBodies()).toBe(0);
  });
});

describe('fills that nobody reads', () => {
  test('[decision 14] eight go on; what is more is parked, and taken up where it stopped', async () => {
    const { opened, open } = gate();
    const hub = createScriptedPort('hub', (_, at) => ({
      bytes: big.bytes,
      ...(at < 12 ? { hold: { after: 5 * MIB, until: opened } } : {}),
    }));
    const house = await createHouse({ chain: [hub] });
    const blobs = Array.from({ length: 12 }, (_, at) => randomBlob(big.size, 100 + at));
    const leaving = blobs.map(() => new AbortController());
    for (const [at, { digest }] of blobs.entries()) await house.blob('a/b', digest, { signal: leaving[at]!.signal });
    await settle(60);
    expect(house.fills.running()).toHaveLength(12);
    for (const client of leaving) client.abort(new Error('gone'));
    await settle(60);
    expect(house.fills.running()).toHaveLength(8);
    expect(house.events.filter((event) => event.kind === 'fill-ended').map(({ outcome }) => outcome)).toEqual(
      Array(4).fill('parked'),
    );
    open();
    await settle(60);
    const parked = house.events.find((event) => event.kind === 'fill-ended');
    hub.say(() => ({ bytes: blobs.find(({ digest }) => digest === parked!.digest)!.bytes }));
    await house.blob('a/b', parked!.digest);
    expect(hub.starts().at(-1)).toBe(5 * MIB);
  });

  test('[decision 14] a fill whose clients still wait for its first byte is no orphan', async () => {
    const { opened } = gate();
    const hub = createScriptedPort('hub', async () => {
      await opened;
      return { bytes: big.bytes };
    });
    const house = await createHouse({ chain: [hub] });
    const blobs = Array.from({ length: 12 }, (_, at) => randomBlob(1000, 200 + at));
    const leaving = new AbortController();
    const asked = blobs.map(({ digest }, at) => house.blob('a/b', digest, at === 0 ? { signal: leaving.signal } : {}));
    for (const reply of asked) reply.catch(() => undefined);
    await settle();
    leaving.abort(new Error('gone'));
    await settle();
    expect(house.fills.running()).toHaveLength(12);
    await house.fills.park();
  });

  test('[decision 14] who is answered without a byte waits for none', async () => {
    const { opened, open } = gate();
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, hold: { after: 5 * MIB, until: opened } }));
    const house = await createHouse({ chain: [hub] });
    const blobs = Array.from({ length: 12 }, (_, at) => randomBlob(big.size, 300 + at));
    for (const [at, { digest }] of blobs.entries()) {
      const asked = at % 2 === 0 ? { ifNoneMatch: '*' } : { range: `bytes=${big.size}-` };
      const status = await house.blob('a/b', digest, asked).then(
        (reply) => reply.status,
        (error: { status: number }) => error.status,
      );
      expect(status).toBe(at % 2 === 0 ? 304 : 416);
    }
    await settle(60);
    expect(house.fills.running()).toHaveLength(8);
    open();
    await house.fills.park();
  });

  test('who comes while a fill is being parked begins anew, and is not cut', async () => {
    const { opened } = gate();
    const hub = createScriptedPort('hub', (_, at) => ({
      bytes: big.bytes,
      ...(at === 0 ? { hold: { after: 5 * MIB, until: opened } } : {}),
    }));
    const house = await createHouse({ chain: [hub] });
    const leaving = new AbortController();
    await house.blob('a/b', big.digest, { signal: leaving.signal });
    await settle(60);
    leaving.abort(new Error('gone'));
    house.fills.parkOrphans(() => true);
    expect(house.fills.isRunning({ registry: 'docker.io', digest: big.digest })).toBe(true);
    expect(sha256(await bytesOf(await house.blob('a/b', big.digest)))).toBe(big.digest);
    expect(hub.starts()).toEqual([0, 5 * MIB]);
  });
});
