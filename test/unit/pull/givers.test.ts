import { describe, expect, test } from 'vitest';
import { counts } from '../../../src/pull/givers.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createScriptedPort } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse } from './house.ts';

const { digest, bytes } = randomBlob(3_000, 93);
const RECORD = { size: bytes.length, public: false, state: 'held', at: 0 } as const;
const LINK = { kind: 'blob', size: bytes.length, by: 'upstream', upstream: 'hub', at: 0 } as const;

const createGivers = async () => {
  const hub = createScriptedPort('hub', () => ({ bytes }));
  const house = await createHouse({ chain: [hub], policy: { open: false } });
  return { house, hub, ...house.deps };
};

describe('[decision 8] who has shown that it has the bytes', () => {
  test('is whoever brought all of them in that registry, and nobody who only said so', async () => {
    const { givers, records } = await createGivers();
    await records.putBlob(digest, RECORD);
    await records.putLink('docker.io/a/b', digest, LINK);
    await records.putLink('docker.io/a/c', digest, { ...LINK, upstream: 'liar', claimed: true });
    await records.putLink('quay.io/a/b', digest, { ...LINK, upstream: 'quay' });
    expect(await givers.of('docker.io/x/y', digest, RECORD)).toEqual(new Set(['hub']));
    expect(await givers.of('quay.io/x/y', digest, RECORD)).toEqual(new Set(['quay']));
    expect(await givers.of('ghcr.io/x/y', digest, RECORD)).toEqual(new Set());
    expect(counts(await givers.of('docker.io/x/y', digest, RECORD), 'liar')).toBe(false);
  });

  test('is whoever had brought them to an official registry whose data are looked up', async () => {
    const { givers } = await createGivers();
    const record = { ...RECORD, brought: { registry: 'docker.io', upstream: 'hub' } };
    expect(await givers.of('docker.io/x/y', digest, record)).toEqual(new Set(['hub']));
    expect(await givers.of('quay.io/x/y', digest, record)).toEqual(new Set());
  });

  test('is no pusher, and no import', async () => {
    const { givers, records } = await createGivers();
    await records.putBlob(digest, RECORD);
    await records.putLink('docker.io/a/b', digest, { ...LINK, by: 'import' });
    expect(await givers.of('docker.io/x/y', digest, RECORD)).toEqual(new Set());
  });

  test('is anybody where they are no secret', async () => {
    const { givers } = await createGivers();
    const given = await givers.of('docker.io/x/y', digest, { ...RECORD, public: true });
    expect([given, counts(given, 'whoever')]).toEqual(['anybody', true]);
    expect(givers.remembered('ghcr.io/x/y', digest)).toBe('anybody');
  });

  test('is remembered, by registry', async () => {
    const { givers } = await createGivers();
    const provenance = { repository: 'docker.io/a/b', upstream: 'hub', public: false, needed: 'account' } as const;
    givers.note(digest, provenance);
    givers.note(digest, { ...provenance, upstream: 'liar', claimed: true });
    givers.note(digest, { ...provenance, repository: 'quay.io/a/b', upstream: 'quay' });
    expect(givers.remembered('docker.io/x/y', digest)).toEqual(new Set(['hub']));
    expect(givers.remembered('quay.io/x/y', digest)).toEqual(new Set(['quay']));
    givers.note(digest, { ...provenance, public: true });
    expect(givers.remembered('ghcr.io/x/y', digest)).toBe('anybody');
  });

  test('and while the metadata are down, another upstream of that registry has to bring them', async () => {
    const { house, hub } = await createGivers();
    await bytesOf(await house.blob('a/b', digest));
    house.metadata.setDown(true);
    const before = hub.gets().length;
    // The same registry, asked through another mirror of it.
    const other = createScriptedPort('other', () => ({ bytes: Buffer.alloc(bytes.length) }));
    const second = await createHouse({ chain: [other], policy: { open: false }, disk: house.disk, metadata: house.metadata });
    const provenance = { repository: 'docker.io/a/b', upstream: 'hub', public: false, needed: 'account' } as const;
    second.deps.givers.note(digest, provenance);
    const shown = await second.blob('x/y', digest).then(bytesOf, () => Buffer.alloc(0));
    expect([shown.equals(bytes), hub.gets().length]).toEqual([false, before]);
  });
});
