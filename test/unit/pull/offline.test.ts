import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { buildImage } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { ABSENT, createScriptedPort, trouble, type PortScript } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse, settle, sha256 } from './house.ts';

const { top, layers, config } = buildImage();
const HOLDER = 'docker.io/a/b';

const supply: PortScript = ({ reference }) => {
  const found = [top, ...layers, config].find(({ digest }) => digest === reference) ?? top;
  return { bytes: found.bytes, digest: found.digest, ...(found === top ? { mediaType: top.mediaType } : {}) };
};

/** What a house pulled, and another one over the same disk and metadata that is offline. */
async function offline() {
  const [disk, metadata] = [createMemoryDisk(), createMemoryMetadata()];
  const hub = createScriptedPort('hub', supply);
  const online = await createHouse({ chain: [hub], disk, metadata });
  await online.manifest('a/b', '3');
  for (const { digest } of [...layers, config]) await bytesOf(await online.blob('a/b', digest));
  await settle(60);
  const never = createScriptedPort('never', () => trouble('never'));
  // Whom it would ask, if it asked.
  const house = await createHouse({ chain: [never], disk, metadata, process: 1, policy: { offline: true } });
  return { house, metadata, disk, never, online };
}

const refusalOf = (asked: Promise<unknown>): Promise<unknown> =>
  asked.then(
    () => 'answered',
    (error: unknown) => (error instanceof RegistryError ? [error.status, error.code, error.detail] : error),
  );

describe('offline', () => {
  test('nothing is asked, whatever its age', async () => {
    const { house, never } = await offline();
    await house.clock.advance(1_000_000_000);
    expect(sha256(await bytesOf(await house.manifest('a/b', '3')))).toBe(top.digest);
    for (const { digest } of [...layers, config]) expect((await house.blob('a/b', digest)).status).toBe(200);
    expect(await refusalOf(house.manifest('a/b', 'none'))).toEqual([404, 'MANIFEST_UNKNOWN', { offline: true }]);
    expect(never.asked).toEqual([]);
  });

  test('a metadata store that is down is trouble, and no absence; nobody is asked past it', async () => {
    const { house, metadata, never } = await offline();
    metadata.setDown(true);
    const { name } = house.parse('/v2/a/b/tags/list', undefined) as Extract<ReturnType<typeof house.parse>, { name: unknown }>;
    const query = new URLSearchParams();
    const asked = [
      () => house.manifest('a/b', '3'),
      () => house.manifest('a/b', '3', { method: 'HEAD' }),
      () => house.manifest('a/b', top.digest),
      () => house.blob('a/b', config.digest),
      () => house.lists.tags(name, query, { trace: newTrace('1') }),
      () => house.lists.referrers(name, top.digest, query, { trace: newTrace('1') }),
    ];
    for (const ask of asked) expect(await refusalOf(ask())).toEqual([503, 'UNAVAILABLE', { offline: true }]);
    expect(house.events).toContainEqual(expect.objectContaining({ kind: 'bypass', reason: 'metadata' }));
    expect(never.asked).toEqual([]);
  });

  test('public content of two repositories is served although that cannot be noted', async () => {
    const { house, metadata, online } = await offline();
    await online.manifest('c/d', '3');
    metadata.beforeCommit(() => {
      throw new Error('read only');
    });
    expect((await house.blob('c/d', config.digest)).status).toBe(200);
    expect((await house.blob('c/d', layers[0]!.digest)).status).toBe(200);
    expect(house.events).toContainEqual(expect.objectContaining({ kind: 'bypass', reason: 'metadata' }));
  });

  test('a disk that cannot be read is trouble too', async () => {
    const { house, disk, never } = await offline();
    disk.fail({ on: 'open', when: ({ path }) => path.includes('/blobs/'), as: 'EIO' });
    const trace = newTrace('1');
    expect(await refusalOf(house.blob('a/b', config.digest, { trace }))).toEqual([503, 'UNAVAILABLE', { offline: true }]);
    expect(trace.outcome).toBe('error');
    expect(never.asked).toEqual([]);
  });

  test('a refresh is refused, and is no 404', async () => {
    const { house, never } = await offline();
    const target = house.parse('/v2/a/b/manifests/3', undefined) as Parameters<typeof house.pulls.refresh>[0]['target'];
    const signal = new AbortController().signal;
    const asked = house.pulls.refresh({ method: 'GET', target, signal, trace: newTrace('1') });
    expect(await refusalOf(asked)).toEqual([503, 'UNAVAILABLE', { offline: true }]);
    expect(never.asked).toEqual([]);
  });
});

describe('ondelete: drop', () => {
  test('not where another process has just seen the tag', async () => {
    const hub = createScriptedPort('hub', supply);
    const house = await createHouse({ chain: [hub], policy: { onDelete: 'drop' } });
    await house.manifest('a/b', '3');
    await house.clock.advance(300_000);
    hub.say(async () => {
      const record = await house.records.tag(HOLDER, '3');
      await house.records.putTag(HOLDER, '3', { ...record!, checked: house.clock.now() });
      return ABSENT;
    });
    expect(sha256(await bytesOf(await house.manifest('a/b', '3')))).toBe(top.digest);
    expect(await house.records.tag(HOLDER, '3')).toBeDefined();
  });

  test('the history stays, and is remembered as gone for the negative ttl', async () => {
    const hub = createScriptedPort('hub', supply);
    const house = await createHouse({ chain: [hub], policy: { onDelete: 'drop' } });
    await house.manifest('a/b', '3');
    await house.clock.advance(300_000);
    hub.say(() => ABSENT);
    expect(await refusalOf(house.manifest('a/b', '3'))).toMatchObject({ 0: 404 });
    expect(await house.records.tag(HOLDER, '3')).toBeUndefined();
    expect(await house.records.tagHistory(HOLDER, '3', 9)).toMatchObject([
      { digest: top.digest, deleted: true },
      { digest: top.digest },
    ]);
    const asked = hub.asked.length;
    expect(await refusalOf(house.manifest('a/b', '3'))).toMatchObject({ 0: 404 });
    expect(hub.asked).toHaveLength(asked);
    hub.say(supply);
    await house.clock.advance(30_000);
    expect(sha256(await bytesOf(await house.manifest('a/b', '3')))).toBe(top.digest);
  });
});
