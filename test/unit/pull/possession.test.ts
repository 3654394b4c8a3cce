import { describe, expect, test } from 'vitest';
import type { LeaseRecord } from '../../../src/metadata/records.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createScriptedPort, type ScriptedPort } from '../../fakes/scripted-port.ts';
import { bytesOf, contentOf, createHouse, drain, gate, settle, sha256, type House } from './house.ts';

const secret = randomBlob(3_000_000, 91);
const small = randomBlob(3_000, 92);
const GUARDED = { open: false };

const has = (name: string, blob = secret): ScriptedPort => createScriptedPort(name, () => ({ bytes: blob.bytes }));

/** Says yes to everything, of the right size, and has nothing. */
const claims = (name: string, blob = secret): ScriptedPort =>
  createScriptedPort(name, () => ({ bytes: Buffer.alloc(blob.bytes.length, 'garbage') }));

/** What a client was sent of the secret. */
async function taken(asked: ReturnType<House['blob']>): Promise<Buffer> {
  const { bytes } = await asked.then(drain, () => ({ bytes: Buffer.alloc(0) }));
  const pieces = [0, 1_000_000, 1_999_000, 2_900_000].map((at) => secret.bytes.subarray(at, at + 32));
  return pieces.some((piece) => bytes.includes(piece)) ? bytes : Buffer.alloc(0);
}

/** Two processes over one disk and one store, a different upstream before each. */
async function two(one: ScriptedPort, other: ScriptedPort) {
  const [disk, metadata] = [createMemoryDisk(), createMemoryMetadata({ async: true })];
  const clocks = [createFakeClock(), createFakeClock()] as const;
  const common = { disk, metadata, policy: GUARDED };
  const houses = [
    await createHouse({ ...common, chain: [one], clock: clocks[0] }),
    await createHouse({ ...common, chain: [other], clock: clocks[1], process: 1 }),
  ] as const;
  const pass = async (ms: number, which: readonly (0 | 1)[] = [0, 1]): Promise<void> => {
    for (let at = 0; at < ms; at += 100) {
      for (const index of which) await clocks[index].advance(100);
      await settle(10);
    }
  };
  return { houses, pass };
}

function holding(after: number): { readonly port: ScriptedPort; open(): void } {
  const { opened, open } = gate();
  return { port: createScriptedPort('hub', () => ({ bytes: secret.bytes, hold: { after, until: opened } })), open };
}

describe('[decision 8] bytes that another process brings', () => {
  test('are shown to nobody whose upstream merely says that it has them', async () => {
    const { port, open } = holding(2_000_000);
    const { houses, pass } = await two(port, claims('evil'));
    const leading = drain(await houses[0].blob('a/b', secret.digest));
    await settle();
    const stolen = taken(houses[1].blob('thief/x', secret.digest));
    await pass(1_000);
    open();
    await pass(2_000);
    expect((await stolen).length).toBe(0);
    expect(sha256((await leading).bytes)).toBe(secret.digest);
  });

  test('nor are what a leader that fell silent has left: they are fetched anew', async () => {
    const { port, open } = holding(2_000_000);
    const evil = claims('evil');
    const { houses, pass } = await two(port, evil);
    const leading = drain(await houses[0].blob('a/b', secret.digest));
    await settle();
    const stolen = taken(houses[1].blob('thief/x', secret.digest));
    await pass(600);
    const late = taken(houses[1].blob('thief/x', secret.digest));
    await pass(8_000, [1]);
    expect((await stolen).length + (await late).length).toBe(0);
    expect(new Set(evil.starts())).toEqual(new Set([0]));
    open();
    await pass(2_000);
    await leading;
  });

  test('are followed by the same repository, and by another of the same upstream', async () => {
    const { port, open } = holding(2_000_000);
    const other = has('hub');
    const { houses, pass } = await two(port, other);
    const leading = drain(await houses[0].blob('a/b', secret.digest));
    await settle();
    const same = houses[1].blob('a/b', secret.digest).then(drain);
    const another = houses[1].blob('c/d', secret.digest).then(drain);
    await pass(600);
    open();
    await pass(2_000);
    for (const { bytes, broken } of await Promise.all([leading, same, another]))
      expect([broken, sha256(bytes)]).toEqual([undefined, secret.digest]);
    expect([port.gets().length, other.gets().length]).toEqual([1, 0]);
  });
});

/** A process that is played, and leads the fill of a digest: what it tells, and what it has written. */
async function playedLeader(house: House, digest: Digest) {
  const { records, blobs, clock } = house;
  const fill = { registry: 'docker.io', digest };
  const { lease } = await records.takeLease(fill, 'elsewhere 9 x', clock.now(), clock.now() + 5_000);
  return async (id: string, bytes: Uint8Array, told: Partial<LeaseRecord>): Promise<void> => {
    if (bytes.length > 0) {
      const part = await blobs.part(id, false);
      await part.write(bytes, 0);
      part.release();
    }
    const next = { until: clock.now() + 5_000, state: 'running', frontier: bytes.length, part: id, ...told } as const;
    expect(await records.renewLease(fill, lease, next)).toBe(true);
    await clock.advance(200);
    await settle();
  };
}

describe('[decision 8] what is told of a fill elsewhere', () => {
  test('holds for the part that it was told of: who brings the rest alone has not brought it all', async () => {
    const first = has('first');
    const house = await createHouse({ chain: [first], policy: GUARDED });
    const tell = await playedLeader(house, secret.digest);
    const brought = { repository: 'docker.io/a/b', anonymous: false, public: false, upstream: 'second' };
    const half = secret.bytes.subarray(0, 1_500_000);
    const asked = house.blob('a/b', secret.digest).then(drain);
    await tell('a'.repeat(32), Buffer.alloc(1_000_000, 'garbage'), { brought, size: secret.bytes.length });
    await tell('b'.repeat(32), half, { brought, size: secret.bytes.length });
    await tell('b'.repeat(32), Buffer.alloc(0), { brought, size: secret.bytes.length, frontier: half.length, state: 'failed' });
    await asked;
    expect(first.starts()).toEqual([half.length]);
    await settle();
    expect(await house.records.link('docker.io/a/b', secret.digest)).toMatchObject({ upstream: 'first', claimed: true });
  });

  test.each(['failed', 'running'] as const)('does not hold for bytes that somebody else has put there (%s)', async (state) => {
    const evil = claims('evil', small);
    const house = await createHouse({ chain: [evil], policy: GUARDED });
    const tell = await playedLeader(house, small.digest);
    const brought = { repository: 'quay.io/thief/x', anonymous: true, public: true, upstream: 'evil' };
    const asked = house.blob('thief/y', small.digest).then(drain, () => ({ bytes: Buffer.alloc(0) }));
    await tell('a'.repeat(32), Buffer.alloc(0), { brought, size: small.bytes.length });
    const part = await house.blobs.part('c'.repeat(32), false);
    await part.write(small.bytes, 0);
    await part.publish(small.digest);
    await house.records.putBlob(small.digest, { size: small.bytes.length, public: false, state: 'held', at: 0 });
    await tell('a'.repeat(32), Buffer.alloc(0), { brought, size: small.bytes.length, state });
    for (let at = 0; at < 80; at += 1) {
      await house.clock.advance(100);
      await settle(5);
    }
    expect((await asked).bytes.equals(small.bytes)).toBe(false);
    expect(await house.records.link('docker.io/thief/y', small.digest)).toBeUndefined();
  });

  test('holds where its leader died as it was done', async () => {
    const hub = has('hub');
    const house = await createHouse({ chain: [hub], policy: GUARDED });
    const tell = await playedLeader(house, secret.digest);
    const brought = { repository: 'docker.io/a/b', anonymous: false, public: false, upstream: 'hub' };
    const asked = ['a/b', 'c/d'].map(async (name) => house.blob(name, secret.digest).then(drain));
    await tell('a'.repeat(32), secret.bytes.subarray(0, 1_000_000), { brought, size: secret.bytes.length });
    const part = await house.blobs.part('c'.repeat(32), false);
    await part.write(secret.bytes, 0);
    await house.store.keepBlob(part, secret.digest, secret.bytes.length, {
      repository: 'docker.io/a/b',
      upstream: 'hub',
      public: false,
      needed: 'account',
    });
    for (let at = 0; at < 80; at += 1) {
      await house.clock.advance(100);
      await settle(5);
    }
    for (const { bytes, broken } of await Promise.all(asked))
      expect([broken, sha256(bytes)]).toEqual([undefined, secret.digest]);
    expect(hub.gets().length).toBe(0);
  });
});

describe('[decision 8] a fill of this process', () => {
  /** Brings so much, says yes to whoever asks, and then has nothing more. */
  function breaking(bytes: Uint8Array, until: Promise<void>): ScriptedPort {
    return createScriptedPort('first', ({ method }, at) =>
      method === 'GET' && at === 0
        ? { bytes, hold: { after: 1_000_000, until }, breakAfter: 1_000_000 }
        : method === 'HEAD'
          ? { bytes }
          : { kind: 'absent' },
    );
  }

  test('is left by another repository when somebody else goes on with it, who has not been asked for that', async () => {
    const { opened, open } = gate();
    const first = breaking(secret.bytes, opened);
    const second = createScriptedPort('second', ({ repository }) =>
      repository === 'a/b' ? { bytes: secret.bytes } : { kind: 'absent' },
    );
    const house = await createHouse({ chain: [first, second], policy: GUARDED });
    const own = drain(await house.blob('a/b', secret.digest));
    await settle();
    const follower = drain(await house.blob('c/d', secret.digest));
    const [slow, late] = [await house.blob('c/d', secret.digest), await house.blob('c/d', secret.digest)];
    const reader = await contentOf(slow).content.open(0, undefined, new AbortController().signal);
    expect(await reader.read(Buffer.alloc(1_000))).toBe(1_000);
    await settle();
    open();
    const [mine, theirs] = await Promise.all([own, follower]);
    expect(sha256(mine.bytes)).toBe(secret.digest);
    expect(theirs.broken).toBeDefined();
    expect(theirs.bytes.length).toBeLessThanOrEqual(1_000_000);
    // However slowly they read, and however late they begin to.
    await expect(reader.read(Buffer.alloc(1_000))).rejects.toThrow('is not there');
    await settle();
    expect((await drain(late)).bytes.length).toBe(0);
    // Neither has brought all of it, and of the other repository nobody has shown that it holds it.
    expect((await house.records.link('docker.io/a/b', secret.digest))?.claimed).toBe(true);
    expect(await house.records.link('docker.io/c/d', secret.digest)).toBeUndefined();
  });

  test('never ends whole and wrong, where its own chain goes on after wrong bytes', async () => {
    const { opened, open } = gate();
    const first = breaking(Buffer.alloc(secret.bytes.length, 'garbage'), opened);
    const house = await createHouse({ chain: [first, has('second')], policy: GUARDED });
    const own = drain(await house.blob('a/b', secret.digest));
    await settle();
    const follower = drain(await house.blob('c/d', secret.digest));
    await settle();
    open();
    for (const { bytes, broken } of await Promise.all([own, follower])) {
      expect(broken).toBeDefined();
      expect(bytes.length).toBeLessThan(secret.bytes.length);
    }
  });

  test('is gone on with by itself where its own chain can: no client notices', async () => {
    const { opened, open } = gate();
    const second = has('second');
    const house = await createHouse({ chain: [breaking(secret.bytes, opened), second], policy: GUARDED });
    const own = drain(await house.blob('a/b', secret.digest));
    await settle();
    const whole = drain(await house.blob('c/d', secret.digest));
    const part = drain(await house.blob('c/d', secret.digest, { range: 'bytes=900000-' }));
    await settle();
    open();
    const [mine, theirs, rest] = await Promise.all([own, whole, part]);
    for (const { bytes, broken } of [mine, theirs]) expect([broken, sha256(bytes)]).toEqual([undefined, secret.digest]);
    expect([rest.broken, rest.bytes.equals(secret.bytes.subarray(900_000))]).toEqual([undefined, true]);
    expect(second.starts()).toEqual([1_000_000, 1_000_000, 1_000_000]);
  });

  test('is followed, and what is held shown, by whichever upstream of a balance brought it', async () => {
    const { opened, open } = gate();
    const one = createScriptedPort('one', ({ method, repository }) =>
      method === 'GET' && repository === 'a/b'
        ? { bytes: secret.bytes, hold: { after: 1_000_000, until: opened } }
        : { bytes: secret.bytes },
    );
    const two = has('two');
    const chain = [one, two];
    const house = await createHouse({ chain, policy: GUARDED });
    const own = drain(await house.blob('a/b', secret.digest));
    await settle();
    chain.reverse();
    const follower = drain(await house.blob('c/d', secret.digest));
    await settle();
    open();
    for (const { bytes } of await Promise.all([own, follower])) expect(sha256(bytes)).toBe(secret.digest);
    await settle();
    expect((await house.records.link('docker.io/c/d', secret.digest))?.claimed).not.toBe(true);
    expect(sha256(await bytesOf(await house.blob('e/f', secret.digest)))).toBe(secret.digest);
    expect([one.gets().length, two.asked.length]).toEqual([1, 0]);
    // Unless that one is down.
    one.stand({ up: false });
    expect(sha256(await bytesOf(await house.blob('g/h', secret.digest)))).toBe(secret.digest);
    expect([one.gets().length, two.gets().length]).toEqual([1, 1]);
  });

  test('of another registry holds up nobody, and cuts nobody, though it may be public', async () => {
    const { opened, open } = gate();
    const wrong = Buffer.alloc(secret.bytes.length, 'garbage');
    const upstream = createScriptedPort('origin', ({ method, registry }) =>
      method === 'GET' && registry === 'quay.io'
        ? { bytes: wrong, hold: { after: 2_000_000, until: opened } }
        : { bytes: secret.bytes },
    );
    const house = await createHouse({ chain: [upstream] });
    const thief = drain(await house.blob('quay.io/thief/x', secret.digest));
    await settle();
    expect(sha256(await bytesOf(await house.blob('a/b', secret.digest)))).toBe(secret.digest);
    // Nor does what it leaves.
    await house.fills.park();
    open();
    await thief;
    const again = await createHouse({
      chain: [upstream],
      disk: house.disk,
      metadata: house.metadata,
      process: 1,
      isDead: () => true,
    });
    expect((await house.records.part({ registry: 'quay.io', digest: secret.digest }))?.synced).toBeGreaterThan(0);
    expect(sha256(await bytesOf(await again.blob('a/b', secret.digest)))).toBe(secret.digest);
  });

  test('leaves what another repository may not go on with: its own upstream brings it from the first byte', async () => {
    const { port, open } = holding(2_000_000);
    const house = await createHouse({ chain: [port], policy: GUARDED });
    const own = drain(await house.blob('a/b', secret.digest));
    await settle();
    await house.fills.park();
    open();
    await own;
    const evil = claims('evil');
    const common = { policy: GUARDED, disk: house.disk, metadata: house.metadata, process: 1, isDead: () => true };
    const again = await createHouse({ ...common, chain: [evil] });
    expect((await taken(again.blob('thief/x', secret.digest))).length).toBe(0);
    expect(new Set(evil.starts())).toEqual(new Set([0]));
  });

  test('gives a follower who is far ahead the bytes of its own repository', async () => {
    const { opened, open } = gate();
    const hub = createScriptedPort('hub', ({ method, repository }) =>
      method === 'GET' && repository === 'a/b'
        ? { bytes: secret.bytes, hold: { after: 1_000_000, until: opened } }
        : { bytes: secret.bytes },
    );
    const house = await createHouse({ chain: [hub], policy: GUARDED });
    const own = drain(await house.blob('a/b', secret.digest));
    await settle();
    const ask = (): Promise<Buffer> => house.blob('c/d', secret.digest, { range: 'bytes=2000000-2000099' }).then(bytesOf);
    const far = [ask()];
    await settle();
    await house.clock.advance(60_000);
    // By now it is known how slow it is.
    far.push(ask());
    for (const bytes of await Promise.all(far)) expect(bytes.equals(secret.bytes.subarray(2_000_000, 2_000_100))).toBe(true);
    expect(hub.gets().map(({ repository }) => repository)).toEqual(['a/b', 'c/d', 'c/d']);
    open();
    expect(sha256((await own).bytes)).toBe(secret.digest);
  });
});

describe('[decision 8] while the metadata cannot be asked', () => {
  test('bytes on disk are shown where this process knows who gave them, and to nobody else', async () => {
    const [hub, evil] = [has('hub', small), claims('evil', small)];
    const house = await createHouse({ chain: [hub], policy: GUARDED });
    expect(sha256(await bytesOf(await house.blob('a/b', small.digest)))).toBe(small.digest);
    await settle();
    house.metadata.setDown(true);
    expect(sha256(await bytesOf(await house.blob('c/d', small.digest)))).toBe(small.digest);
    expect(hub.gets().length).toBe(1);

    const other = await createHouse({ chain: [evil], policy: GUARDED, disk: house.disk, metadata: house.metadata, process: 1 });
    const stolen = await other.blob('thief/x', small.digest).then(drain, () => ({ bytes: Buffer.alloc(0) }));
    expect(stolen.bytes.equals(small.bytes)).toBe(false);
    expect((await other.blob('thief/x', small.digest, { method: 'HEAD' })).status).toBe(200);
  });

  test('what is fetched meanwhile is fetched once, though nothing of it is recorded', async () => {
    const hub = has('hub', small);
    const house = await createHouse({ chain: [hub], policy: GUARDED });
    house.metadata.setDown(true);
    for (let round = 0; round < 3; round += 1)
      expect(sha256(await bytesOf(await house.blob('a/b', small.digest)))).toBe(small.digest);
    expect(hub.gets().length).toBe(1);
  });
});
