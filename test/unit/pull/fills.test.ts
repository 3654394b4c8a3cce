import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { blobOf, randomBlob } from '../../fakes/images.ts';
import { ABSENT, createScriptedPort, trouble, type Supply } from '../../fakes/scripted-port.ts';
import { bytesOf, contentOf, createHouse, drain, gate, settle, sha256, type House } from './house.ts';

const TAIL = 64 * 1024;
const big = randomBlob(1_000_000);
const small = randomBlob(200_000, 2);

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = copy[at]! ^ 1;
  return copy;
}

/** Nothing is left open, and each fill that began was told to have ended. */
async function expectNoLeaks(house: House): Promise<void> {
  await settle();
  expect(house.fills.running()).toEqual([]);
  expect(house.disk.openFiles()).toEqual([]);
  expect(house.counted('fill-started')).toBe(house.counted('fill-ended'));
  await house.clock.advance(10_001); // The batch of last uses is written.
  expect(house.clock.pending()).toBe(0);
}

describe('one fill, many readers', () => {
  test('[P53] twenty clients at twenty offsets cost one question', async () => {
    const { opened, open } = gate();
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, hold: { after: 300_000, until: opened } }));
    const house = await createHouse({ chain: [hub] });
    const offsets = Array.from({ length: 20 }, (_, at) => at * 13_000);
    const replies = await Promise.all(offsets.map((from) => house.blob('a/b', big.digest, { range: `bytes=${from}-` })));
    const reading = replies.map((reply) => bytesOf(reply));
    await settle();
    open();
    const read = await Promise.all(reading);
    read.forEach((bytes, at) => expect(bytes.equals(big.bytes.subarray(offsets[at]!))).toBe(true));
    expect(hub.gets()).toHaveLength(1);
    expect(hub.sent()).toBe(big.size);
    await expectNoLeaks(house);
  });

  test('once all are parked none begins: a client that waited for one to end is refused', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, hold: { after: 300_000, until: gate().opened } }));
    const house = await createHouse({ chain: [hub] });
    const reading = bytesOf(await house.blob('a/b', big.digest));
    await settle();
    const parked = house.fills.park();
    const late = house.blob('a/b', big.digest);
    await expect(reading).rejects.toThrow('the reader broke');
    await expect(late).rejects.toMatchObject({ status: 503 });
    await parked;
    expect(hub.gets()).toHaveLength(1);
    await expectNoLeaks(house);
  });

  test('[P54] the client that started it goes, and the fill goes on', async () => {
    const { opened, open } = gate();
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, hold: { after: 300_000, until: opened } }));
    const house = await createHouse({ chain: [hub] });
    const leaving = new AbortController();
    const first = await house.blob('a/b', big.digest, { signal: leaving.signal });
    const reader = await contentOf(first).content.open(0, undefined, leaving.signal);
    expect(await reader.read(Buffer.alloc(1000))).toBe(1000);
    leaving.abort(new Error('gone'));
    reader.close();
    open();
    await settle();
    expect((await house.blob('a/b', big.digest)).headers['cache-status']).toBe('entrepot; hit');
    expect(hub.gets()).toHaveLength(1);
    await expectNoLeaks(house);
  });

  test('what is opened after its fill has ended is read from what is held', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const house = await createHouse({ chain: [hub] });
    const pipelined = await house.blob('a/b', big.digest);
    await settle();
    expect(house.fills.running()).toEqual([]);
    expect(sha256(await bytesOf(pipelined))).toBe(big.digest);
    expect(hub.gets()).toHaveLength(1);
    await expectNoLeaks(house);
  });

  test('what is opened after its fill has failed is asked of the chain once more', async () => {
    const hub = createScriptedPort('hub', (_, at) => (at === 0 ? { bytes: big.bytes, breakAfter: 0 } : trouble('hub')));
    const house = await createHouse({ chain: [hub] });
    const pipelined = await house.blob('a/b', big.digest);
    await settle();
    hub.say(() => ({ bytes: big.bytes }));
    expect(sha256(await bytesOf(pipelined))).toBe(big.digest);
    await expectNoLeaks(house);
  });

  test('a refusal is shared by those who waited for it, and is one question', async () => {
    const hub = createScriptedPort('hub', () => ABSENT);
    const house = await createHouse({ chain: [hub] });
    const asked = Array.from({ length: 20 }, () => house.blob('a/b', big.digest).catch((error: unknown) => error));
    for (const error of await Promise.all(asked)) expect(error).toMatchObject({ status: 404, code: 'BLOB_UNKNOWN' });
    expect(hub.gets()).toHaveLength(1);
    await expectNoLeaks(house);
  });

  test('[promise 9] who follows another repository’s fill proves itself first, all of its clients at once', async () => {
    const { opened, open } = gate();
    const hub = createScriptedPort('hub', ({ repository, method }) =>
      repository === 'a/b'
        ? { bytes: big.bytes, hold: { after: 300_000, until: opened } }
        : repository === 'c/d' && method === 'HEAD'
          ? { bytes: big.bytes }
          : ABSENT,
    );
    const house = await createHouse({ chain: [hub] });
    const first = await house.blob('a/b', big.digest);
    const joined = await Promise.all([1, 2, 3].map(() => house.blob('c/d', big.digest)));
    await expect(house.blob('e/f', big.digest)).rejects.toMatchObject({ status: 404 });
    expect(joined.map(({ headers }) => headers['cache-status'])).toEqual(Array(3).fill('entrepot; fwd=miss; collapsed'));
    expect(await house.records.link('docker.io/c/d', big.digest)).toBeUndefined();
    open();
    for (const reply of [first, ...joined]) expect(sha256(await bytesOf(reply))).toBe(big.digest);
    await settle();
    expect(await house.records.link('docker.io/c/d', big.digest)).toMatchObject({ kind: 'blob', size: big.size });
    expect(await house.records.link('docker.io/e/f', big.digest)).toBeUndefined();
    expect(hub.heads().map(({ repository }) => repository)).toEqual(['c/d', 'e/f']);
    await expectNoLeaks(house);
  });

  test('a fill that was refused to one repository is asked again for another', async () => {
    const { opened, open } = gate();
    const hub = createScriptedPort('hub', async ({ repository }) => {
      if (repository === 'c/d') return { bytes: big.bytes };
      await opened;
      return ABSENT;
    });
    const house = await createHouse({ chain: [hub] });
    const first = house.blob('a/b', big.digest).catch((error: unknown) => error);
    const second = house.blob('c/d', big.digest);
    await settle();
    open();
    expect(await first).toMatchObject({ status: 404 });
    expect(sha256(await bytesOf(await second))).toBe(big.digest);
  });

  test('what the credentials of one client were refused is asked again with those of another', async () => {
    const { opened, open } = gate();
    let asked = 0;
    const hub = createScriptedPort('hub', async () => {
      asked += 1;
      if (asked > 1) return { bytes: big.bytes };
      await opened;
      return ABSENT;
    });
    const house = await createHouse({ chain: [hub], route: { asker: 'one of them' } });
    const first = house.blob('a/b', big.digest).catch((error: unknown) => error);
    const second = house.blob('a/b', big.digest);
    await settle();
    open();
    expect(await first).toMatchObject({ status: 404 });
    expect(sha256(await bytesOf(await second))).toBe(big.digest);
  });
});

describe('verified or broken, never wrong', () => {
  test('[P69] nobody gets the tail before the last byte has come', async () => {
    const { opened, open } = gate();
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, hold: { after: big.size - 1, until: opened } }));
    const house = await createHouse({ chain: [hub] });
    const reader = await contentOf(await house.blob('a/b', big.digest)).content.open(
      0,
      undefined,
      new AbortController().signal,
    );
    await settle();
    expect(house.fills.running()[0]).toMatchObject({ written: big.size - 1, frontier: big.size - TAIL });
    const buffer = Buffer.alloc(big.size);
    let read = 0;
    while (read < big.size - TAIL) read += await reader.read(buffer.subarray(read));
    expect(read).toBe(big.size - TAIL);
    const rest = reader.read(buffer.subarray(read));
    await settle();
    expect(await Promise.race([rest, Promise.resolve('waits')])).toBe('waits');
    open();
    read += await rest;
    while (read < big.size) read += await reader.read(buffer.subarray(read));
    reader.close();
    expect(sha256(buffer)).toBe(big.digest);
    await expectNoLeaks(house);
  });

  test('[promise 1] a small blob answers only when it is verified', async () => {
    const { opened, open } = gate();
    const hub = createScriptedPort('hub', () => ({ bytes: small.bytes, hold: { after: small.size - 1, until: opened } }));
    const house = await createHouse({ chain: [hub] });
    const asked = house.blob('a/b', small.digest);
    await settle();
    expect(house.fills.running()[0]).toMatchObject({ written: small.size - 1, frontier: 0 });
    expect(await Promise.race([asked, Promise.resolve('waits')])).toBe('waits');
    open();
    expect(sha256(await bytesOf(await asked))).toBe(small.digest);
  });

  for (const [what, at] of [
    ['first', 0],
    ['middle', 500_000],
    ['last before the tail', big.size - TAIL - 1],
    ['first of the tail', big.size - TAIL],
    ['last', big.size - 1],
  ] as const) {
    test(`[P69] [GHSA-qxv7-p3mq-88fv] the ${what} byte is wrong: the reader breaks before the end, nothing is kept`, async () => {
      const hub = createScriptedPort('hub', () => ({ bytes: flipped(big.bytes, at) }));
      const house = await createHouse({ chain: [hub] });
      const { bytes, broken } = await drain(await house.blob('a/b', big.digest));
      expect(broken).toBeInstanceOf(Error);
      expect(bytes.length).toBeLessThanOrEqual(big.size - TAIL);
      await settle();
      expect(await house.blobs.open(big.digest)).toBeUndefined();
      expect(await house.blobs.parts()).toEqual([]);
      expect(await house.records.link('docker.io/a/b', big.digest)).toBeUndefined();
      expect(house.events).toContainEqual({ kind: 'verify-failed', upstream: 'hub', digest: big.digest, whole: true });
      await expectNoLeaks(house);
    });
  }

  test('[decision 4] who sent wrong bytes is passed over for 60 s while another is there', async () => {
    const bad = createScriptedPort('bad', () => ({ bytes: flipped(small.bytes, 5) }));
    const good = createScriptedPort('good', () => ({ bytes: small.bytes }));
    const house = await createHouse({ chain: [bad, good] });
    expect(sha256(await bytesOf(await house.blob('a/b', small.digest)))).toBe(small.digest);
    await settle();
    await house.records.dropLink('docker.io/a/b', small.digest);
    await house.blobs.remove(small.digest);
    await bytesOf(await house.blob('a/b', small.digest));
    expect([bad.gets().length, good.gets().length]).toEqual([1, 2]);
    await house.clock.advance(60_001);
    await settle();
    await house.records.dropLink('docker.io/a/b', small.digest);
    await house.blobs.remove(small.digest);
    await bytesOf(await house.blob('a/b', small.digest));
    expect(bad.gets()).toHaveLength(2);
  });

  test('[R11] that the innocent have nothing does not make it absent', async () => {
    const bad = createScriptedPort('bad', () => ({ bytes: flipped(small.bytes, 5) }));
    const empty = createScriptedPort('empty', () => ABSENT);
    const house = await createHouse({ chain: [bad, empty] });
    for (let round = 0; round < 2; round += 1) {
      await expect(house.blob('a/b', small.digest)).rejects.toMatchObject({ status: 502, code: 'UNAVAILABLE' });
    }
    expect(bad.gets()).toHaveLength(1);
  });

  test('[decision 4] a spliced body that is wrong blames nobody, and is tried once whole from each', async () => {
    const wrong = flipped(big.bytes, 100);
    const one = createScriptedPort('one', (_, at) => ({ bytes: wrong, ...(at === 0 ? { breakAfter: 400_000 } : {}) }));
    const two = createScriptedPort('two', () => ({ bytes: big.bytes }));
    one.say((_, at) => (at === 0 ? { bytes: wrong, breakAfter: 400_000 } : at === 1 ? trouble('one') : { bytes: wrong }));
    const house = await createHouse({ chain: [one, two] });
    const { broken } = await drain(await house.blob('a/b', big.digest));
    expect(broken).toBeInstanceOf(Error);
    await settle();
    const failures = house.events.filter((event) => event.kind === 'verify-failed');
    expect(failures.map(({ upstream, whole }) => [upstream, whole])).toEqual([
      ['two', false],
      ['one', true],
    ]);
    expect(one.starts()).toEqual([0, 400_000, 0]);
    expect(two.starts()).toEqual([400_000, 0]);
    expect((await house.blob('a/b', big.digest)).headers['cache-status']).toBe('entrepot; hit');
    await expectNoLeaks(house);
  });

  test('what one upstream spoilt, another sets right that cuts each of its bodies', async () => {
    const wrong = flipped(big.bytes, 100);
    const one = createScriptedPort('one', (_, at) => ({ bytes: wrong, ...(at % 2 === 0 ? { breakAfter: 900_000 } : {}) }));
    const two = createScriptedPort('two', () => ({ bytes: big.bytes, breakAfter: 600_000 }));
    const house = await createHouse({ chain: [one, two] });
    expect((await drain(await house.blob('a/b', big.digest))).broken).toBeInstanceOf(Error);
    expect(sha256(await bytesOf(await house.blob('a/b', big.digest)))).toBe(big.digest);
    expect(two.starts()).toEqual([0, 600_000]);
    await expectNoLeaks(house);
  });

  test('who was cut for wrong bytes and asks again is not cut for those of the next upstream', async () => {
    const { opened, open } = gate();
    const wrong = flipped(big.bytes, 100);
    const one = createScriptedPort('one', () => ({ bytes: wrong }));
    const two = createScriptedPort('two', () => ({ bytes: wrong, hold: { after: 700_000, until: opened } }));
    const three = createScriptedPort('three', () => ({ bytes: big.bytes }));
    const house = await createHouse({ chain: [one, two, three] });
    expect((await drain(await house.blob('a/b', big.digest))).broken).toBeInstanceOf(Error);
    const again = drain(await house.blob('a/b', big.digest));
    await settle(60);
    open();
    const { bytes, broken } = await again;
    expect([broken, sha256(bytes)]).toEqual([undefined, big.digest]);
    await expectNoLeaks(house);
  });

  const lengths: readonly (readonly [string, Supply])[] = [
    ['shorter than promised', { bytes: big.bytes.subarray(0, 900_000), size: big.size }],
    ['longer than promised', { bytes: Buffer.concat([big.bytes, Buffer.alloc(9)]), size: big.size - 10 }],
  ];
  for (const [what, supply] of lengths) {
    test(`[P69] a body ${what} is not kept, and nobody takes it for whole`, async () => {
      const hub = createScriptedPort('hub', () => supply);
      const house = await createHouse({ chain: [hub] });
      const { bytes, broken } = await drain(await house.blob('a/b', big.digest));
      expect(broken).toBeInstanceOf(Error);
      expect(bytes.length).toBeLessThanOrEqual(big.size - TAIL);
      await settle();
      expect(await house.blobs.open(big.digest)).toBeUndefined();
      await expectNoLeaks(house);
    });
  }

  test('[decision 7] a length that contradicts the descriptor is refused before the first byte', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const house = await createHouse({ chain: [hub] });
    const record = { size: big.size + 1, mediaType: 'x/y', public: true };
    await house.records.putDescribed('docker.io/a/b', [{ digest: big.digest, record }]);
    await expect(house.blob('a/b', big.digest)).rejects.toMatchObject({ status: 502 });
    expect([hub.sent(), hub.openBodies()]).toEqual([0, 0]);
    await expectNoLeaks(house);
  });

  test('[P69] who comes while bytes are being found wrong begins anew', async () => {
    const { opened, open } = gate();
    const short = { bytes: big.bytes.subarray(0, big.size - 1), hold: { after: 900_000, until: opened } };
    const hub = createScriptedPort('hub', (_, at) => (at === 0 ? short : { bytes: big.bytes }));
    const house = await createHouse({ chain: [hub] });
    const first = drain(await house.blob('a/b', big.digest));
    await settle();
    let later: ReturnType<House['blob']> | undefined;
    const lift = house.disk.fail({
      on: 'unlink',
      as: 'EIO',
      when: () => {
        later ??= house.blob('a/b', big.digest);
        return false;
      },
    });
    open();
    expect((await first).broken).toBeInstanceOf(Error);
    lift();
    const reply = await later!;
    expect(reply.headers['content-length']).toBe(String(big.size));
    expect(sha256(await bytesOf(reply))).toBe(big.digest);
  });

  test('[decision 7] a length that nobody says is asked for by HEAD', async () => {
    const hub = createScriptedPort('hub', ({ method }) => ({ bytes: big.bytes, size: method === 'HEAD' ? big.size : null }));
    const house = await createHouse({ chain: [hub] });
    const reply = await house.blob('a/b', big.digest);
    expect(reply.headers['content-length']).toBe(String(big.size));
    expect(sha256(await bytesOf(reply))).toBe(big.digest);
    expect(hub.asked.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
  });

  test('[P70] a length that nobody ever says: the bytes come all the same, the last only when verified', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, size: null }));
    const house = await createHouse({ chain: [hub] });
    const reply = await house.blob('a/b', big.digest);
    expect(reply.headers).not.toHaveProperty('content-length');
    expect(sha256(await bytesOf(reply))).toBe(big.digest);
    await settle();
    expect((await house.blob('a/b', big.digest)).headers['content-length']).toBe(String(big.size));
    await expectNoLeaks(house);
  });

  test('[R01] a body without length that ends early proves nothing', async () => {
    const hub = createScriptedPort('hub', (_, at) => ({
      bytes: big.bytes,
      size: null,
      ...(at < 2 ? { endAfter: 700_000 } : {}),
    }));
    const house = await createHouse({ chain: [hub] });
    const { broken } = await drain(await house.blob('a/b', big.digest));
    expect(broken).toBeInstanceOf(Error);
    await settle();
    expect((await house.blob('a/b', big.digest)).headers['cache-status']).toBe('entrepot; hit');
  });

  test('[P66] the empty blob is asked for like any other', async () => {
    const empty = blobOf(Buffer.alloc(0));
    const hub = createScriptedPort('hub', () => ({ bytes: empty.bytes }));
    const house = await createHouse({ chain: [hub] });
    const record = { size: 0, mediaType: 'x/y', public: true };
    await house.records.putDescribed('docker.io/a/b', [{ digest: empty.digest, record }]);
    expect((await bytesOf(await house.blob('a/b', empty.digest))).length).toBe(0);
    expect(hub.gets()).toHaveLength(1);
  });

  test('a manifest that calls a blob empty makes no fill run for ever', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const house = await createHouse({ chain: [hub] });
    const record = { size: 0, mediaType: 'x/y', public: true };
    await house.records.putDescribed('docker.io/a/b', [{ digest: big.digest, record }]);
    await expect(house.blob('a/b', big.digest)).rejects.toMatchObject({ status: 502 });
    await expectNoLeaks(house);
  });
});

describe('going on', () => {
  test('[P68] whatever the cuts: each range begins at the first byte not accepted, and no byte comes twice', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.record({ after: fc.integer({ min: 0, max: 120_000 }), stall: fc.boolean() }), { maxLength: 40 }),
        async (count, cuts) => {
          const left = [...cuts];
          const progress: number[] = [];
          const chain = Array.from({ length: count }, (_, at) => {
            const port = createScriptedPort(`up${at}`, ({ range }) => {
              progress.push(range?.from ?? 0);
              const cut = left.shift();
              if (cut === undefined) return { bytes: big.bytes, chunkBytes: 30_000 };
              const breakAs = cut.stall ? 'stall' : 'cut';
              return { bytes: big.bytes, chunkBytes: 30_000, breakAfter: cut.after, breakAs };
            });
            return port;
          });
          const house = await createHouse({ chain });
          const { bytes, broken } = await drain(
            await house
              .blob('a/b', big.digest)
              .catch(() => ({ body: { kind: 'bytes', bytes: Buffer.alloc(0) }, headers: {}, status: 502 })),
          );
          await settle();
          const sent = chain.reduce((sum, port) => sum + port.sent(), 0);
          let expected = 0;
          let at = 0;
          for (const from of progress) {
            expect(from).toBe(expected);
            const cut = cuts[at++];
            expected = Math.min(big.size, expected + (cut?.after ?? big.size));
          }
          const right = broken === undefined && bytes.length > 0;
          expect(right ? [sha256(bytes), sent] : 'failed').toEqual(right ? [big.digest, big.size] : 'failed');
          // Only a full round without a byte ends it: some cut brought nothing.
          expect(right || cuts.some(({ after }) => after === 0)).toBe(true);
          expect(chain.map((port) => port.openBodies())).toEqual(chain.map(() => 0));
          await expectNoLeaks(house);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('[R02] two hundred cuts with progress are no reason to give up, and leave no listeners behind', async () => {
    const huge = randomBlob(60_000_000, 3);
    const hub = createScriptedPort('hub', () => ({ bytes: huge.bytes, chunkBytes: 290_000, breakAfter: 290_000 }));
    const house = await createHouse({ chain: [hub] });
    expect(sha256(await bytesOf(await house.blob('a/b', huge.digest)))).toBe(huge.digest);
    expect(hub.gets().length).toBeGreaterThan(200);
    expect(hub.sent()).toBe(huge.size);
    expect(house.counted('resumed')).toBe(hub.gets().length - 1);
  });

  test('[decision 3] at most fifty bodies that bring next to nothing', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, breakAfter: 10 }));
    const house = await createHouse({ chain: [hub] });
    const { broken } = await drain(await house.blob('a/b', big.digest));
    expect(broken).toBeInstanceOf(Error);
    expect(hub.gets()).toHaveLength(51);
    await expectNoLeaks(house);
  });

  test('an upstream that brought next to nothing fifty times is left alone, and the next one is asked', async () => {
    const one = createScriptedPort('one', () => ({ bytes: big.bytes, breakAfter: 10 }));
    const two = createScriptedPort('two', () => ({ bytes: big.bytes }));
    const house = await createHouse({ chain: [one, two] });
    expect(sha256(await bytesOf(await house.blob('a/b', big.digest)))).toBe(big.digest);
    expect(one.gets()).toHaveLength(51);
    expect(two.starts()).toEqual([510]);
  });

  test('[decision 3] two breaks without a byte, or a stall: the next one goes on', async () => {
    for (const breakAs of ['cut', 'stall'] as const) {
      const one = createScriptedPort('one', (_, at) => ({ bytes: big.bytes, breakAfter: at === 0 ? 400_000 : 0, breakAs }));
      const two = createScriptedPort('two', () => ({ bytes: big.bytes }));
      const house = await createHouse({ chain: [one, two] });
      expect(sha256(await bytesOf(await house.blob('a/b', big.digest)))).toBe(big.digest);
      expect(one.starts()).toEqual(breakAs === 'stall' ? [0] : [0, 400_000, 400_000]);
      expect(two.starts()).toEqual([400_000]);
    }
  });

  test('[R11] a small body that only ever breaks is trouble, not absence, and is not remembered as such', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: small.bytes, breakAfter: 0 }));
    const house = await createHouse({ chain: [hub] });
    await expect(house.blob('a/b', small.digest)).rejects.toMatchObject({ status: 502, code: 'UNAVAILABLE' });
    hub.say(() => ({ bytes: small.bytes }));
    expect(sha256(await bytesOf(await house.blob('a/b', small.digest)))).toBe(small.digest);
  });

  test('[R10] a small blob that drips goes on at the next upstream while its client still waits, from where it was', async () => {
    const clock = createFakeClock();
    const second = (): Promise<void> => new Promise((resolve) => clock.after(1_000, resolve));
    const drip = createScriptedPort('drip', () => ({ bytes: small.bytes, chunkBytes: 1_000, pause: second }));
    const good = createScriptedPort('good', () => ({ bytes: small.bytes }));
    const house = await createHouse({ chain: [drip, good], clock });
    const pull = house.blob('a/b', small.digest).then(bytesOf);
    for (let seconds = 0; seconds < 12; seconds += 1) {
      await settle();
      await clock.advance(1_000);
    }
    expect(sha256(await pull)).toBe(small.digest);
    expect(good.starts()).toEqual([9_000]);
    await expectNoLeaks(house);
  });

  test('[R10] a small blob that drips and is nowhere else comes as it may', async () => {
    const clock = createFakeClock();
    const second = (): Promise<void> => new Promise((resolve) => clock.after(1_000, resolve));
    const drip = createScriptedPort('drip', () => ({ bytes: small.bytes, chunkBytes: 10_000, pause: second }));
    const house = await createHouse({ chain: [drip], clock });
    const pull = house.blob('a/b', small.digest).then(bytesOf);
    for (let seconds = 0; seconds < 23; seconds += 1) {
      await settle();
      await clock.advance(1_000);
    }
    expect(sha256(await pull)).toBe(small.digest);
    expect(drip.gets()).toHaveLength(1);
  });

  test('[P74] a 200 to a range is read and dropped up to where we were', async () => {
    const hub = createScriptedPort('hub', (_, at) => ({
      bytes: big.bytes,
      ignoreRange: true,
      ...(at === 0 ? { breakAfter: 400_000 } : {}),
    }));
    const house = await createHouse({ chain: [hub] });
    expect(sha256(await bytesOf(await house.blob('a/b', big.digest)))).toBe(big.digest);
    expect(hub.gets()).toHaveLength(2);
  });

  for (const [what, supply] of [
    ['start', { bytes: big.bytes, shift: 7 }],
    ['total', { bytes: big.bytes, size: big.size + 7 }],
  ] as const) {
    test(`[R02] a 206 with another ${what} is not spliced in: the next one goes on`, async () => {
      const one = createScriptedPort('one', (_, at) => (at === 0 ? { bytes: big.bytes, breakAfter: 400_000 } : supply));
      const two = createScriptedPort('two', () => ({ bytes: big.bytes }));
      const house = await createHouse({ chain: [one, two] });
      expect(sha256(await bytesOf(await house.blob('a/b', big.digest)))).toBe(big.digest);
      expect(two.starts()).toEqual([400_000]);
      await expectNoLeaks(house);
    });
  }

  test('the only upstream claims too great a length: what its bytes hash to counts for more', async () => {
    const liar = createScriptedPort('liar', () => ({ bytes: small.bytes, size: small.size + 7 }));
    const house = await createHouse({ chain: [liar] });
    const reply = await house.blob('a/b', small.digest);
    expect([reply.headers['content-length'], sha256(await bytesOf(reply))]).toEqual([String(small.size), small.digest]);
    await expectNoLeaks(house);
  });

  test('the first of a chain lies about the length and breaks: the next one is believed', async () => {
    const liar = createScriptedPort('liar', ({ range }) =>
      range === undefined ? { bytes: small.bytes, size: small.size + 7, breakAfter: 100_000 } : trouble('liar'),
    );
    const two = createScriptedPort('two', () => ({ bytes: small.bytes }));
    const house = await createHouse({ chain: [liar, two] });
    const reply = await house.blob('a/b', small.digest);
    expect([reply.headers['content-length'], sha256(await bytesOf(reply))]).toEqual([String(small.size), small.digest]);
    expect(two.starts()).toEqual([100_000, 0]);
    await expectNoLeaks(house);
  });

  test('a length that was wrong is begun with anew when the upstream says so', async () => {
    const hub = createScriptedPort('hub', (request, at) => {
      if (at === 0) return { bytes: big.bytes, size: big.size + 1 };
      return (request.range?.from ?? 0) >= big.size ? trouble('hub', { status: 416 }) : { bytes: big.bytes };
    });
    const house = await createHouse({ chain: [hub] });
    await drain(await house.blob('a/b', big.digest));
    await settle();
    expect(sha256(await bytesOf(await house.blob('a/b', big.digest)))).toBe(big.digest);
  });
});
