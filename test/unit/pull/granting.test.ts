import { describe, expect, test } from 'vitest';
import type { LinkRecord, TagRecord } from '../../../src/metadata/records.ts';
import { grants, type Obtained, type Terms } from '../../../src/pull/granting.ts';
import type { Name } from '../../../src/pull/name.ts';
import type { Reply } from '../../../src/pull/reply.ts';
import type { Route, RoutePolicy } from '../../../src/pull/route.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { buildImage, randomBlob } from '../../fakes/images.ts';
import { ABSENT, createScriptedPort, type ScriptedPort } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse, gate, settle, sha256, type House } from './house.ts';

const HOLDER = 'docker.io/a/b';
const layer = randomBlob(400_000, 3);
const image = buildImage({ layers: [300] });

type What = Partial<Pick<RoutePolicy, 'open' | 'offline'>> & { readonly passes?: true; readonly unlocks?: string };

const terms = ({ open = false, offline = false, passes, unlocks }: What): Terms => ({
  policy: { open, offline, unlocks: (upstream: string) => upstream === unlocks } as RoutePolicy,
  ...(passes === undefined ? {} : { passthrough: { as: () => () => [], place: '', proofMs: 0 } }),
});

test.each<[string, What, Obtained, ReturnType<typeof grants>]>([
  ['what anybody could have', { open: true }, { needed: 'nothing', upstream: 'hub' }, true],
  ['what an account unlocked, opened', { open: true }, { needed: 'account', upstream: 'hub' }, false],
  ['what an account unlocked, opened offline', { open: true, offline: true }, { needed: 'account', upstream: 'hub' }, false],
  ['what an account unlocked, guarded offline', { offline: true }, { needed: 'account', upstream: 'hub' }, true],
  ['what an account unlocked that unlocks no more', {}, { needed: 'account', upstream: 'hub' }, false],
  ['what the account of another unlocks', { unlocks: 'b' }, { needed: 'account', upstream: 'hub' }, false],
  ['what the account unlocks', { unlocks: 'hub' }, { needed: 'account', upstream: 'hub' }, true],
  ['what it unlocks for anybody', { open: true, unlocks: 'hub' }, { needed: 'account', upstream: 'hub' }, true],
  ['what a client unlocked', { unlocks: 'hub' }, { needed: 'client', upstream: 'hub' }, false],
  ['what a client unlocked, offline', { offline: true }, { needed: 'client', upstream: 'hub' }, false],
  ['what a client unlocked, at the door', { passes: true }, { needed: 'client', upstream: 'hub' }, true],
  ['what nobody noted, guarded', {}, { upstream: 'hub' }, true],
  ['what nobody noted, opened', { open: true }, { upstream: 'hub' }, 'unknown'],
  ['what nobody noted, and the account unlocks', { open: true, unlocks: 'hub' }, { upstream: 'hub' }, true],
])('%s', (_what, route, obtained, granted) => {
  expect(grants(terms(route), obtained)).toBe(granted);
});

function registry(anonymous: boolean): ScriptedPort {
  return createScriptedPort('hub', ({ kind, reference }) => {
    if (kind === 'manifest' && (reference === image.top.digest || reference === '3'))
      return { bytes: image.top.bytes, mediaType: image.top.mediaType, digest: image.top.digest, anonymous };
    return kind === 'blob' && reference === layer.digest ? { bytes: layer.bytes, anonymous } : ABSENT;
  });
}

describe('records of a version that did not note what it took', () => {
  /** As that version left it: bytes, a link and a tag. */
  async function older(isPublic: boolean): Promise<{ readonly house: House; readonly hub: ScriptedPort }> {
    const hub = registry(true);
    const house = await createHouse({ chain: [hub] });
    await bytesOf(await house.blob('a/b', layer.digest));
    await house.manifest('a/b', '3');
    await settle();
    for (const digest of [layer.digest, image.top.digest]) {
      const { needed: _, ...link } = (await house.records.link(HOLDER, digest))!;
      await house.records.putLink(HOLDER, digest, link satisfies LinkRecord);
      await house.records.putBlob(digest, { ...(await house.records.blob(digest))!, public: isPublic });
    }
    const { needed: _, ...tag } = (await house.records.tag(HOLDER, '3'))!;
    await house.records.putTag(HOLDER, '3', tag satisfies TagRecord);
    return { house, hub };
  }

  const pull = async (house: House): Promise<void> => {
    await house.manifest('a/b', '3');
    await house.manifest('a/b', image.top.digest);
    expect(sha256(await bytesOf(await house.blob('a/b', layer.digest)))).toBe(layer.digest);
    await settle();
  };

  test('are good where the bytes are public, with nobody asked', async () => {
    const { house, hub } = await older(true);
    const before = hub.asked.length;
    await pull(house);
    expect(hub.asked.length).toBe(before);
    expect((await house.records.link(HOLDER, layer.digest))!.needed).toBe('nothing');
  });

  test('are asked about once where nothing says that they are', async () => {
    const { house, hub } = await older(false);
    const blobs = hub.gets().filter(({ kind }) => kind === 'blob').length;
    const before = hub.asked.length;
    await pull(house);
    const asked = hub.asked.length;
    expect(asked).toBeGreaterThan(before);
    await pull(house);
    expect(hub.asked.length).toBe(asked);
    expect(hub.gets().filter(({ kind }) => kind === 'blob').length).toBe(blobs);
    expect((await house.records.link(HOLDER, layer.digest))!.needed).toBe('nothing');
  });
});

test('a fill that began under rules is not joined by everybody, once they are gone, without a yes', async () => {
  const { opened, open: goOn } = gate();
  const hub = createScriptedPort('hub', ({ method }) =>
    method === 'HEAD' ? ABSENT : { bytes: layer.bytes, anonymous: false, hold: { after: 65_536, until: opened } },
  );
  const house = await createHouse({ chain: [hub], policy: { open: false, unlocks: () => true } });
  const first = bytesOf(await house.blob('a/b', layer.digest));
  open(house);
  await expect(house.blob('a/b', layer.digest)).rejects.toMatchObject({ status: 404 });
  goOn();
  expect(sha256(await first)).toBe(layer.digest);
  await settle();
  await expect(house.blob('a/b', layer.digest)).rejects.toMatchObject({ status: 404 });
});

describe('lists are made of what may be shown', () => {
  const tagsOf = async (policy: Partial<RoutePolicy>): Promise<unknown> => {
    const house = await createHouse({ chain: [createScriptedPort('hub', () => ABSENT)], policy });
    const { digest, size, mediaType } = image.top;
    const record = { digest, size, mediaType, checked: house.clock.now(), upstream: 'hub' };
    await house.records.putTag(HOLDER, 'account', { ...record, needed: 'account' });
    await house.records.putTag(HOLDER, 'client', { ...record, needed: 'client' });
    await house.records.putTag(HOLDER, 'everybody', { ...record, needed: 'nothing' });
    const { name } = house.parse('/v2/a/b/tags/list', undefined) as { name: Name };
    const { body } = await house.lists.tags(name, new URLSearchParams(), { trace: newTrace('1') });
    return body.kind === 'bytes' ? JSON.parse(Buffer.from(body.bytes).toString()) : undefined;
  };

  test.each([
    ['offline', { offline: true }],
    ['as of a date', { asof: createFakeClock().now() }],
  ])('%s', async (_what, policy) => {
    expect(await tagsOf({ ...policy, open: true })).toMatchObject({ tags: ['everybody'] });
  });
});

test.each([true, false])('a HEAD that our account was told is not remembered once it only pays (open: %s)', async (isOpen) => {
  const hub = registry(false);
  const house = await createHouse({ chain: [hub], policy: { open: false, unlocks: () => true } });
  const head = (): Promise<Reply> => house.manifest('a/b', '3', { method: 'HEAD' });
  await head();
  await head();
  expect(hub.asked).toHaveLength(1);
  open(house, isOpen);
  hub.say(() => ABSENT);
  await expect(head()).rejects.toMatchObject({ status: 404 });
});

test('what our account proved is not proven for everybody', async () => {
  const hub = registry(false);
  const house = await createHouse({ chain: [hub], policy: { open: false, unlocks: () => true } });
  await bytesOf(await house.blob('c/d', layer.digest));
  await settle();
  await bytesOf(await house.blob('a/b', layer.digest));
  expect(hub.heads()).toHaveLength(1);
  open(house);
  hub.say(() => ABSENT);
  await expect(house.blob('a/b', layer.digest)).rejects.toMatchObject({ status: 404 });
});

/** Anyone may pull from now on, if so, and the account pays only. */
function open({ deps }: House, isOpen = true): void {
  const { router } = deps;
  Object.assign(deps, {
    router(name: Parameters<typeof router>[0]): Route {
      const { unlocks: _, ...policy } = router(name)!.policy;
      return { ...router(name)!, policy: { ...policy, open: isOpen } };
    },
  });
}
