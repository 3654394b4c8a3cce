import { describe, expect, test, vi } from 'vitest';
import type { Pseudonym } from '../../../src/oci/via.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import type { FillKey } from '../../../src/metadata/records.ts';
import { Brought } from '../../../src/pull/fill/brought.ts';
import { Blame } from '../../../src/pull/fill/sources.ts';
import type { FillOrder } from '../../../src/pull/fill/types.ts';
import type { Claim } from '../../../src/pull/fills.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createScriptedPort, trouble, type ScriptedPort } from '../../fakes/scripted-port.ts';
import { bytesOf, contentOf, createHouse, drain, gate, settle, sha256, type House } from './house.ts';

const blob = randomBlob(3_000_000, 71);
const GUARDED = { open: false };
const THEIRS = 'quay.io/some/two';
const OURS = 'a/b';

/** One upstream for both registries; what it sends to quay.io waits after so many bytes. */
function holdingTheirs(after: number) {
  const { opened, open } = gate();
  const port = createScriptedPort('origin', ({ registry, method }) =>
    method === 'GET' && registry === 'quay.io'
      ? { bytes: blob.bytes, hold: { after, until: opened } }
      : { bytes: blob.bytes, anonymous: false },
  );
  const asked = (registry: string): number => port.gets().filter((request) => request.registry === registry).length;
  return { port, open, asked };
}

const orderFor = (registry: string, port: ScriptedPort): FillOrder => ({
  registry,
  digest: blob.digest,
  repository: 'x',
  holder: `${registry}/x`,
  chain: () => [port],
  hedge: false,
  parallel: 1,
  expectedSize: undefined,
  decider: 'nobody',
  asker: undefined,
});

const wholeOf = async (asked: Promise<Parameters<typeof drain>[0]>): Promise<string> => sha256(await bytesOf(await asked));

describe('[promise 2] in several processes', () => {
  test('each registry has one fill, which all of them follow, and waits for no other', async () => {
    const { port, open, asked } = holdingTheirs(2_000_000);
    const [disk, metadata] = [createMemoryDisk(), createMemoryMetadata({ async: true })];
    const clocks = [createFakeClock(), createFakeClock()] as const;
    const houses: House[] = [];
    for (const [process, clock] of clocks.entries())
      houses.push(await createHouse({ chain: [port], policy: GUARDED, disk, metadata, clock, process }));
    const pass = async (ms: number): Promise<void> => {
      for (let at = 0; at < ms; at += 100) {
        for (const clock of clocks) await clock.advance(100);
        await settle(10);
      }
    };
    const theirs = drain(await houses[0]!.blob(THEIRS, blob.digest));
    await settle();
    const theirsToo = houses[1]!.blob(THEIRS, blob.digest).then(drain);
    const ours = [0, 1, 0, 1].map(async (at) => wholeOf(houses[at]!.blob(OURS, blob.digest)));
    await pass(2_000);
    expect(await Promise.all(ours)).toEqual(Array(4).fill(blob.digest));
    expect([asked('docker.io'), asked('quay.io')]).toEqual([1, 1]);
    open();
    await pass(2_000);
    for (const { bytes, broken } of [await theirs, await theirsToo])
      expect([broken, sha256(bytes)]).toEqual([undefined, blob.digest]);
    expect([asked('docker.io'), asked('quay.io')]).toEqual([1, 1]);
  });

  test('whose leader falls silent is gone on with by one, though another registry has brought the blob meanwhile', async () => {
    const clock = createFakeClock();
    const port = createScriptedPort('hub', () => ({ bytes: blob.bytes, anonymous: false }));
    const house = await createHouse({ chain: [port], policy: GUARDED, clock });
    const fill: FillKey = { registry: 'docker.io', digest: blob.digest };
    const { lease } = await house.records.takeLease(fill, 'elsewhere 9 x', clock.now(), clock.now() + 5_000);
    const id = 'a'.repeat(32);
    const part = await house.blobs.part(id, false);
    await part.write(blob.bytes.subarray(0, 1_000_000), 0);
    part.release();
    const brought = { repository: 'docker.io/a/b', anonymous: false, public: false, upstream: 'hub' };
    const told = {
      until: clock.now() + 5_000,
      state: 'running',
      frontier: 900_000,
      part: id,
      size: blob.size,
      brought,
    } as const;
    expect(await house.records.renewLease(fill, lease, told)).toBe(true);
    const asked = Promise.all([0, 1, 2].map(async () => house.blob(OURS, blob.digest).then(drain)));
    for (let at = 0; at < 5; at += 1) {
      await clock.advance(100);
      await settle();
    }
    const held = await house.blobs.part('c'.repeat(32), false);
    await held.write(blob.bytes, 0);
    await house.store.keepBlob(held, blob.digest, blob.size, {
      repository: THEIRS,
      upstream: 'other',
      public: false,
      needed: 'account',
    });
    held.release();
    for (let at = 0; at < 80; at += 1) {
      await clock.advance(100);
      await settle(5);
    }
    for (const { bytes, broken } of await asked) expect([broken, sha256(bytes)]).toEqual([undefined, blob.digest]);
    expect(port.starts()).toEqual([900_000]);
  });
});

describe('[promise 5] while the metadata cannot be asked', () => {
  test('each registry has one fill too', async () => {
    const { port, open, asked } = holdingTheirs(2_000_000);
    const house = await createHouse({ chain: [port] });
    house.metadata.setDown(true);
    const theirs = drain(await house.blob(THEIRS, blob.digest));
    await settle();
    const ours = [0, 1, 2].map(async () => wholeOf(house.blob(OURS, blob.digest)));
    expect(await Promise.all(ours)).toEqual(Array(3).fill(blob.digest));
    expect([asked('docker.io'), asked('quay.io')]).toEqual([1, 1]);
    open();
    expect(sha256((await theirs).bytes)).toBe(blob.digest);
  });
});

describe('a digest', () => {
  /** So many registries fill it, and none gets on. */
  async function crowd(count: number) {
    const { port, open } = holdingTheirs(1_000);
    const house = await createHouse({ chain: [port] });
    const { opened, open: openRest } = gate();
    const silent = createScriptedPort('silent', () => ({ bytes: blob.bytes, hold: { after: 0, until: opened } }));
    const { signal } = new AbortController();
    const claims: (Claim | undefined)[] = [];
    for (let at = 0; at < count; at += 1) claims.push(await house.fills.claim(orderFor(`r${at}.test`, silent), signal));
    const end = async (): Promise<void> => {
      open();
      openRest();
      await Promise.all(claims.map(async (claim) => claim?.fill.ended));
    };
    return { house, port, silent, signal, claims, end };
  }

  test('is filled for four registries at once; their clients join, and what comes beyond passes by', async () => {
    const { house, silent, signal, claims, end, port } = await crowd(4);
    expect(claims.map((claim) => claim?.joined)).toEqual([false, false, false, false]);
    expect(await house.fills.claim(orderFor('r4.test', silent), signal)).toBeUndefined();
    expect((await house.fills.claim(orderFor('r2.test', silent), signal))?.joined).toBe(true);
    expect(await Promise.all([0, 1].map(async () => wholeOf(house.blob(OURS, blob.digest))))).toEqual([
      blob.digest,
      blob.digest,
    ]);
    expect([port.gets().length, house.fills.running().length]).toEqual([2, 4]);
    // Another digest has places of its own.
    const other = { ...orderFor('r4.test', silent), digest: randomBlob(10, 3).digest };
    const claimed = await house.fills.claim(other, signal);
    expect(claimed?.joined).toBe(false);
    await end();
    await claimed?.fill.ended;
    await settle();
    expect((await house.fills.claim(orderFor('r4.test', silent), signal))?.joined).toBe(false);
    await house.fills.park();
  });

  test('that is crowded is not adopted, and whoever pushes is told to try again; nor is it filled again', async () => {
    const { house, port, signal, end } = await crowd(4);
    const name = { registry: 'docker.io', repository: OURS };
    const need = { digest: blob.digest, size: blob.size, mediaType: 'application/octet-stream' };
    await expect(house.pulls.adopt(name, [need], signal)).rejects.toMatchObject({ status: 503 });
    await house.pulls.refill(`docker.io/${OURS}`, blob.digest, { kind: 'blob', size: blob.size }, signal);
    expect(port.gets()).toEqual([]);
    await end();
  });

  test('is waited for in one registry alone: a mirror that asks may wait for ours, while another’s has no answer', async () => {
    const next = createScriptedPort('next', ({ method }) => (method === 'GET' ? 'hang' : trouble('next', { status: 508 })));
    const hub = createScriptedPort('hub', () => ({ bytes: blob.bytes }));
    const house = await createHouse({ chain: [next, hub] });
    const asks = async (name: string): Promise<number> => {
      const trace = { ...newTrace('1'), via: ['entrepot-0123456789abcdef' as Pseudonym] };
      return house.blob(name, blob.digest, { method: 'HEAD', trace }).then(
        ({ status }) => status,
        ({ status }: { readonly status: number }) => status,
      );
    };
    const waiting = house.blob(THEIRS, blob.digest).catch(() => undefined);
    await settle();
    expect([await asks(THEIRS), await asks(OURS)]).toEqual([508, 200]);
    await house.fills.park();
    await waiting;
  });
});

describe('what is said of one registry', () => {
  test('[decision 4] blames no other’s upstream of that name, for that digest', () => {
    const blame = new Blame(createFakeClock());
    const chain = ['origin', 'mirror'].map((name) => createScriptedPort(name, () => 'hang'));
    const [theirs, ours] = ['quay.io', 'docker.io'].map((registry) => ({ registry, digest: blob.digest })) as [
      FillKey,
      FillKey,
    ];
    blame.add(theirs, 'origin');
    const names = (fill: FillKey): readonly string[] => blame.candidates(fill, chain).map(({ name }) => name);
    expect([names(theirs), names(ours)]).toEqual([['mirror'], ['origin', 'mirror']]);
    expect(names({ ...theirs, digest: randomBlob(9, 1).digest })).toEqual(['origin', 'mirror']);
  });

  test('[decision 4] nor does what it sent: the other’s first question goes to its first upstream', async () => {
    const wrong = Buffer.alloc(blob.size, 'garbage');
    const origin = createScriptedPort('origin', ({ registry }) => ({ bytes: registry === 'quay.io' ? wrong : blob.bytes }));
    const mirror = createScriptedPort('mirror', ({ registry }) =>
      registry === 'quay.io' ? { kind: 'absent' } : { bytes: blob.bytes },
    );
    const house = await createHouse({ chain: [origin, mirror] });
    expect((await drain(await house.blob(THEIRS, blob.digest))).broken).toBeDefined();
    await settle();
    expect(await wholeOf(house.blob(OURS, blob.digest))).toBe(blob.digest);
    expect(mirror.gets().map(({ registry }) => registry)).toEqual(['quay.io']);
  });
});

describe('[promise 7] who follows a fill from another repository', () => {
  test('is forgotten as soon as it reads no more', async () => {
    const followed = vi.spyOn(Brought.prototype, 'follow');
    const { opened, open } = gate();
    const first = createScriptedPort('first', ({ method }, at) =>
      method === 'HEAD' || at === 0
        ? { bytes: blob.bytes, hold: { after: 1_000_000, until: opened }, breakAfter: 1_000_000 }
        : { kind: 'absent' },
    );
    const second = createScriptedPort('second', () => ({ bytes: blob.bytes }));
    const house = await createHouse({ chain: [first, second], policy: GUARDED });
    const own = drain(await house.blob(OURS, blob.digest));
    await settle();
    const [gone, stays] = await Promise.all(
      [0, 1].map(async () =>
        contentOf(await house.blob('c/d', blob.digest)).content.open(0, undefined, new AbortController().signal),
      ),
    );
    gone!.close();
    open();
    expect(sha256((await own).bytes)).toBe(blob.digest);
    const signals = followed.mock.results.map(({ value }) => (value as ReturnType<Brought['follow']>).signal.aborted);
    // Whoever reads is told that another upstream has gone on; whoever has left is told nothing, since nobody knows of them.
    expect(signals.slice(-2)).toEqual([false, true]);
    stays!.close();
    followed.mockRestore();
  });

  test('is linked once for its repository, however many of its clients came', async () => {
    const { opened, open } = gate();
    const hub = createScriptedPort('hub', ({ repository }) =>
      repository === OURS ? { bytes: blob.bytes, hold: { after: 1_000_000, until: opened } } : { bytes: blob.bytes },
    );
    const house = await createHouse({ chain: [hub], policy: GUARDED });
    const linked = vi.spyOn(house.deps.records, 'putLink');
    const own = drain(await house.blob(OURS, blob.digest));
    await settle();
    const others = ['c/d', 'c/d', 'c/d', 'e/f'].map(async (name) => drain(await house.blob(name, blob.digest)));
    await settle();
    open();
    for (const { bytes } of [await own, ...(await Promise.all(others))]) expect(sha256(bytes)).toBe(blob.digest);
    await settle();
    expect(linked.mock.calls.map(([name]) => name).sort()).toEqual(['docker.io/a/b', 'docker.io/c/d', 'docker.io/e/f']);
    expect(hub.gets()).toHaveLength(1);
  });
});
