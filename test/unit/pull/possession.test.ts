import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createScriptedPort, type ScriptedPort } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse, drain, gate, settle, sha256, type House } from './house.ts';

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

describe('[decision 8] a fill of this process', () => {
  test('is left by another repository when somebody else goes on with it, who has not been asked for that', async () => {
    const { opened, open } = gate();
    const first = createScriptedPort('first', ({ method }, at) =>
      method === 'GET' && at === 0
        ? { bytes: secret.bytes, hold: { after: 1_000_000, until: opened }, breakAfter: 1_000_000 }
        : method === 'HEAD'
          ? { bytes: secret.bytes }
          : { kind: 'absent' },
    );
    const second = has('second');
    const house = await createHouse({ chain: [first, second], policy: GUARDED });
    const own = drain(await house.blob('a/b', secret.digest));
    await settle();
    const follower = drain(await house.blob('c/d', secret.digest));
    await settle();
    open();
    const [mine, theirs] = await Promise.all([own, follower]);
    expect(sha256(mine.bytes)).toBe(secret.digest);
    expect(theirs.broken).toBeDefined();
    expect(theirs.bytes.length).toBeLessThanOrEqual(1_000_000);
    // Neither has brought all of it.
    await settle();
    expect((await house.records.link('docker.io/a/b', secret.digest))?.claimed).toBe(true);
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
