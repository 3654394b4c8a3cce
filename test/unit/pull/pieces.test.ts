import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PIECE_BYTES } from '../../../src/pull/fill/pieces.ts';
import { randomBlob } from '../../fakes/images.ts';
import { ABSENT, createScriptedPort, trouble, type ScriptedPort, type Supply } from '../../fakes/scripted-port.ts';
import { sized } from '../../scenarios/acceptance.ts';
import { bytesOf, contentOf, createHouse, drain, gate, settle, sha256, type House } from './house.ts';

const huge = randomBlob(4 * PIECE_BYTES + 1000, 7);
/** Of the properties: each case is a blob of 64 MiB, or two. */
const LONG_MS = sized(60_000, 600_000);
const ENDS = [0, 1, 2, 3, 4].map((at) => Math.min((at + 1) * PIECE_BYTES, huge.size));

/** A house whose manifests have said how large the blob is, as they do when a client asks for it. */
async function houseOf(
  chain: readonly ScriptedPort[],
  parallel: number,
  options: { disk?: House['disk'] } = {},
): Promise<House> {
  const house = await createHouse({ chain, policy: { parallel }, ...options });
  const record = { size: huge.size, mediaType: 'x/y', public: true };
  await house.records.putDescribed('docker.io/a/b', [{ digest: huge.digest, record }]);
  return house;
}

async function expectNothingRuns(house: House, chain: readonly ScriptedPort[]): Promise<void> {
  await settle(100);
  expect(house.fills.running()).toEqual([]);
  expect(house.disk.openFiles()).toEqual([]);
  expect(chain.map((port) => port.openBodies())).toEqual(chain.map(() => 0));
}

const rangesOf = (port: ScriptedPort): string[] =>
  port
    .gets()
    .map(({ range }) => `${range?.from ?? 0}-${range?.to ?? ''}`)
    .toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
const everyPiece = ENDS.map((to, at) => `${at * PIECE_BYTES}-${to}`);

describe('[parallel] a large blob in several ranges', () => {
  test('four at once, each byte once, in order from the first, and verified', async () => {
    const { opened, open } = gate();
    const hub = createScriptedPort('hub', ({ range }) => ({
      bytes: huge.bytes,
      chunkBytes: 1_000_000,
      ...((range?.from ?? 0) === 0 ? { hold: { after: 2_000_000, until: opened } } : {}),
    }));
    const house = await houseOf([hub], 4);
    const reply = await house.blob('a/b', huge.digest);
    const reader = await contentOf(reply).content.open(0, 2_000_000, new AbortController().signal);
    expect(await reader.read(Buffer.alloc(10))).toBe(10);
    await settle(200);
    // The first is held back; the others went on without it, and nobody was told.
    expect(rangesOf(hub)).toEqual(everyPiece);
    expect(house.fills.running()[0]).toMatchObject({ frontier: 2_000_000 });
    reader.close();
    open();
    expect(sha256(await bytesOf(await house.blob('a/b', huge.digest)))).toBe(huge.digest);
    expect([hub.sent(), house.counted('resumed')]).toEqual([huge.size, 0]);
    await expectNothingRuns(house, [hub]);
  });

  test('never more at once than the route says, from the first to the last', async () => {
    let most = 0;
    const hub: ScriptedPort = createScriptedPort('hub', () => {
      most = Math.max(most, hub.openBodies() + 1);
      return { bytes: huge.bytes, chunkBytes: 1_000_000 };
    });
    const house = await houseOf([hub], 2);
    expect(sha256(await bytesOf(await house.blob('a/b', huge.digest)))).toBe(huge.digest);
    expect(most).toBe(2);
  });

  test.each([
    ['what is not worth two pieces', 4, 2 * PIECE_BYTES - 1],
    ['where it is not asked for', 1, huge.size],
  ])('not %s', async (_, parallel, size) => {
    const blob = randomBlob(size, 8);
    const hub = createScriptedPort('hub', () => ({ bytes: blob.bytes }));
    const house = await createHouse({ chain: [hub], policy: { parallel } });
    const record = { size, mediaType: 'x/y', public: true };
    await house.records.putDescribed('docker.io/a/b', [{ digest: blob.digest, record }]);
    expect(sha256(await bytesOf(await house.blob('a/b', blob.digest)))).toBe(blob.digest);
    expect(rangesOf(hub)).toEqual(['0-']);
  });

  test('an upstream that ignores ranges sends it whole, once', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: huge.bytes, chunkBytes: 1_000_000, ignoreRange: true }));
    const house = await houseOf([hub], 4);
    expect(sha256(await bytesOf(await house.blob('a/b', huge.digest)))).toBe(huge.digest);
    expect([hub.gets().length, hub.sent()]).toEqual([1, huge.size]);
    await expectNothingRuns(house, [hub]);
  });

  test('one that ignores them only now and then is passed by, and nothing of it is taken', async () => {
    const odd = createScriptedPort('odd', ({ range }, at) => ({
      bytes: huge.bytes,
      chunkBytes: 1_000_000,
      ...(at === 0 ? {} : at % 2 === 0 ? { ignoreRange: true } : { shift: -(range?.from ?? 0) }),
    }));
    const hub = createScriptedPort('hub', () => ({ bytes: huge.bytes, chunkBytes: 1_000_000 }));
    const house = await houseOf([odd, hub], 4);
    expect(sha256(await bytesOf(await house.blob('a/b', huge.digest)))).toBe(huge.digest);
    expect(house.counted('verify-failed')).toBe(0);
    await expectNothingRuns(house, [odd, hub]);
  });

  test('wrong bytes in one piece blame nobody, and each upstream is tried once whole', async () => {
    const wrong = Buffer.from(huge.bytes);
    wrong[3 * PIECE_BYTES + 5]! ^= 1;
    const bad = createScriptedPort('bad', () => ({ bytes: wrong, chunkBytes: 1_000_000 }));
    const good = createScriptedPort('good', () => ({ bytes: huge.bytes, chunkBytes: 1_000_000 }));
    const house = await houseOf([bad, good], 4);
    const first = await drain(await house.blob('a/b', huge.digest));
    expect(first.broken !== undefined || sha256(first.bytes) === huge.digest).toBe(true);
    expect(house.events).toContainEqual(expect.objectContaining({ kind: 'verify-failed', whole: false }));
    await settle(200);
    expect(sha256(await bytesOf(await house.blob('a/b', huge.digest)))).toBe(huge.digest);
    await expectNothingRuns(house, [bad, good]);
  });

  test('a size that somebody only says takes no memory', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: huge.bytes }));
    const house = await createHouse({ chain: [hub], policy: { parallel: 4 } });
    const record = { size: Number.MAX_SAFE_INTEGER, mediaType: 'x/y', public: true };
    await house.records.putDescribed('docker.io/a/b', [{ digest: huge.digest, record }]);
    await expect(house.blob('a/b', huge.digest)).rejects.toMatchObject({ status: 502 });
    await expectNothingRuns(house, [hub]);
  });

  test('nothing is fetched behind the frontier, and what was hashed there is not written over', async () => {
    const wrong = Buffer.from(huge.bytes);
    wrong[PIECE_BYTES + 5]! ^= 1;
    const whole = createScriptedPort('whole', (_request, at) =>
      at === 0 ? { bytes: huge.bytes, chunkBytes: 1_000_000, ignoreRange: true, breakAfter: 50_000_000 } : ABSENT,
    );
    const hub = createScriptedPort('hub', () => ({ bytes: wrong, chunkBytes: 1_000_000 }));
    const house = await houseOf([whole, hub], 4);
    expect((await drain(await house.blob('a/b', huge.digest))).broken).toBeUndefined();
    await settle(200);
    expect(sha256(await bytesOf(await house.blob('a/b', huge.digest)))).toBe(huge.digest);
    expect([Math.min(...hub.starts()), house.counted('resumed')]).toEqual([50_000_000, 1]);
    expect(whole.sent() + hub.sent()).toBe(huge.size);
    await expectNothingRuns(house, [whole, hub]);
  });

  test('a body that ignores ranges writes nothing over what pieces fetch, nor they over it', async () => {
    const wrong = Buffer.from(huge.bytes);
    wrong[PIECE_BYTES + 5_000_000]! ^= 1;
    const [pieces, end] = [gate(), gate()];
    const odd = createScriptedPort('odd', ({ range }, at) => {
      if (at === 0) return { bytes: huge.bytes, chunkBytes: 1_000_000, breakAfter: 1_000_000 };
      if (range === undefined || range.from < PIECE_BYTES) return ABSENT;
      return { bytes: wrong, chunkBytes: 1_000_000, hold: { after: 1_000_000, until: pieces.opened } };
    });
    const whole = createScriptedPort('whole', () => ({
      bytes: huge.bytes,
      chunkBytes: 1_000_000,
      ignoreRange: true,
      hold: { after: huge.size - 1000, until: end.opened },
    }));
    const house = await houseOf([odd, whole], 2);
    const reading = drain(await house.blob('a/b', huge.digest));
    await settle(300);
    pieces.open();
    await settle(300);
    end.open();
    await reading;
    await settle(200);
    expect(sha256(await bytesOf(await house.blob('a/b', huge.digest)))).toBe(huge.digest);
    await expectNothingRuns(house, [odd, whole]);
  });

  test('a piece that nobody supplies fails the fill with what they said, and leaves nothing running', async () => {
    const never = { after: 1_000_000, until: gate().opened };
    const hub = createScriptedPort('hub', ({ range }) => {
      if (range?.from === 2 * PIECE_BYTES) return trouble('hub');
      return { bytes: huge.bytes, chunkBytes: 1_000_000, ...(range?.from === 3 * PIECE_BYTES ? { hold: never } : {}) };
    });
    const house = await houseOf([hub], 4);
    const { bytes, broken } = await drain(await house.blob('a/b', huge.digest));
    expect(broken).toMatchObject({ message: expect.stringContaining('hub cannot be reached') });
    expect(bytes.length).toBe(2 * PIECE_BYTES);
    await expectNothingRuns(house, [hub]);
  });

  test('a fill that is parked writes nothing any more', async () => {
    const { opened, open } = gate();
    const hold = { after: 1_000_000, until: opened };
    const hub = createScriptedPort('hub', () => ({ bytes: huge.bytes, chunkBytes: 1_000_000, hold }));
    const house = await houseOf([hub], 4);
    const reply = await house.blob('a/b', huge.digest);
    const reading = drain(reply);
    await settle(50);
    expect(hub.gets()).toHaveLength(4);
    await house.fills.park();
    expect((await reading).broken).toBeDefined();
    open();
    await expectNothingRuns(house, [hub]);
  });

  test('a disk that fails in a piece costs no pull', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: huge.bytes, chunkBytes: 1_000_000 }));
    const house = await houseOf([hub], 4);
    house.disk.fail({ on: 'write', when: ({ path }) => path.includes('/parts/'), nth: 30, as: 'ENOSPC' });
    expect(sha256(await bytesOf(await house.blob('a/b', huge.digest)))).toBe(huge.digest);
    await expectNothingRuns(house, [hub]);
  });

  test(
    'whatever breaks: the right bytes, none of them accepted twice',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 2, max: 6 }),
          fc.array(
            fc.oneof(
              fc.record({
                breakAfter: fc.integer({ min: 1_000_000, max: PIECE_BYTES }),
                breakAs: fc.constantFrom('cut', 'stall'),
              }),
              fc.constant('absent' as const),
            ),
            { maxLength: 8 },
          ),
          async (parallel, faults) => {
            const left = [...faults];
            const flaky = createScriptedPort('flaky', (): Supply | typeof ABSENT => {
              const fault = left.shift();
              if (fault === 'absent') return ABSENT;
              return { bytes: huge.bytes, chunkBytes: 1_000_000, ...fault };
            });
            const steady = createScriptedPort('steady', () => ({ bytes: huge.bytes, chunkBytes: 1_000_000 }));
            const house = await houseOf([flaky, steady], parallel);
            expect(sha256(await bytesOf(await house.blob('a/b', huge.digest)))).toBe(huge.digest);
            expect(flaky.sent() + steady.sent()).toBe(huge.size);
            await expectNothingRuns(house, [flaky, steady]);
          },
        ),
        { numRuns: sized(6, 60) },
      );
    },
    LONG_MS,
  );

  test(
    'whatever is sent: never a complete wrong body, and nothing wrong is kept',
    async () => {
      const fault = fc.oneof(
        { weight: 3, arbitrary: fc.record({}) },
        fc.record({ ignoreRange: fc.constant(true), breakAfter: fc.integer({ min: 1_000_000, max: huge.size }) }),
        fc.record({ ignoreRange: fc.constant(true) }),
        fc.record({
          breakAfter: fc.integer({ min: 0, max: PIECE_BYTES }),
          breakAs: fc.constantFrom('cut' as const, 'stall' as const),
        }),
        fc.record({ wrongAt: fc.integer({ min: 0, max: huge.size - 1 }), ignoreRange: fc.boolean() }),
        fc.record({ endAfter: fc.integer({ min: 0, max: PIECE_BYTES }) }),
        fc.constant('absent' as const),
      );
      const script = fc.array(fault, { minLength: 1, maxLength: 8 });
      const FIRST_BYTE_ONLY = { breakAfter: 1, breakAs: 'cut' as const };
      const WHOLE_MEGABYTE = { ignoreRange: true as const, breakAfter: 1_000_000 };
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 2, max: 5 }),
          fc.boolean(),
          fc.array(script, { minLength: 1, maxLength: 3 }),
          async (parallel, hedge, scripts) => {
            const chain = scripts.map((faults, name) =>
              createScriptedPort(`u${name}`, (_request, at): Supply | typeof ABSENT => {
                const now = faults[at % faults.length]!;
                if (now === 'absent') return ABSENT;
                const { wrongAt, ...rest } = now as { wrongAt?: number };
                const bytes = wrongAt === undefined ? huge.bytes : Buffer.from(huge.bytes);
                if (wrongAt !== undefined) bytes[wrongAt]! ^= 1;
                return { bytes, chunkBytes: 1_000_000, ...rest };
              }),
            );
            const house = await createHouse({ chain, policy: { parallel, hedge } });
            const record = { size: huge.size, mediaType: 'x/y', public: true };
            await house.records.putDescribed('docker.io/a/b', [{ digest: huge.digest, record }]);
            for (let turn = 0; turn < 2; turn++) {
              const reply = await house.blob('a/b', huge.digest).catch(() => undefined);
              if (reply === undefined) continue;
              const { bytes, broken } = await drain(reply);
              expect(broken === undefined ? sha256(bytes) === huge.digest : bytes.length < huge.size).toBe(true);
              await settle(50);
            }
            await expectNothingRuns(house, chain);
          },
        ),
        // The fill ended between an answer for a piece and its first byte: that body was never closed.
        { numRuns: sized(5, 50), examples: [[3, false, [[FIRST_BYTE_ONLY], [{}, WHOLE_MEGABYTE, 'absent', WHOLE_MEGABYTE]]]] },
      );
    },
    LONG_MS,
  );
});
