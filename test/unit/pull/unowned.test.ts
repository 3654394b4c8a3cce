import { describe, expect, test } from 'vitest';
import { newTrace } from '../../../src/pull/trace.ts';
import { Unowned, END_MS } from '../../../src/pull/unowned.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { buildImage, randomBlob } from '../../fakes/images.ts';
import { createScriptedPort, trouble, type ScriptedPort } from '../../fakes/scripted-port.ts';
import { createHouse, gate, settle, type House } from './house.ts';

const image = buildImage({ layers: [300] });
const blob = randomBlob(9_000_000, 1);

const SILENT = { request: '/v2/docker.io/a/b/manifests/3', method: 'GET' } as const;

/** Nothing of the house runs any more. */
async function expectEnded(house: House, hub: ScriptedPort): Promise<void> {
  await house.unowned.end();
  expect(house.clock.pending()).toBe(0);
  expect(hub.openBodies()).toBe(0);
  expect(house.disk.openFiles()).toEqual([]);
}

describe('what goes on when its client has gone', () => {
  test.each([
    ['a tag', { ...SILENT, kind: 'manifest' }],
    ['a tag by HEAD', { ...SILENT, method: 'HEAD', kind: 'manifest' }],
    ['a manifest', { ...SILENT, request: `/v2/docker.io/a/b/manifests/${image.top.digest}`, kind: 'manifest' }],
    ['a blob by HEAD', { request: `/v2/docker.io/a/b/blobs/${blob.digest}`, method: 'HEAD', kind: 'blob' }],
  ] as const)('the question for %s ends with the server, and no other upstream is asked', async (_, { request, method }) => {
    const first = createScriptedPort('hub', () => 'hang');
    const second = createScriptedPort('mirror', () => trouble('mirror'));
    const house = await createHouse({ chain: [first, second] });
    const asked = house.ask(request, { method }).catch((error: unknown) => error);
    await settle();
    expect(first.asked).toHaveLength(1);
    await expectEnded(house, first);
    expect(await asked).toBeInstanceOf(Error);
    expect([first.asked.length, second.asked.length]).toEqual([1, 0]);
  });

  test.each(['tags', 'taken'] as const)('the question for %s ends with the server', async (kind) => {
    const hub = createScriptedPort('hub', () => 'hang');
    const house = await createHouse({ chain: [hub] });
    const target = house.parse('/v2/docker.io/a/b/tags/list', undefined);
    if (target.kind !== 'tags') throw new Error('no list is asked for');
    const trace = newTrace('1');
    const asked =
      kind === 'taken' ? house.askTaken(target.name) : house.lists.tags(target.name, new URLSearchParams(), { trace });
    const ended = asked.catch((error: unknown) => error);
    await settle();
    expect(hub.asked).toHaveLength(1);
    await expectEnded(house, hub);
    expect(await ended).toBeInstanceOf(Error);
  });

  test('a manifest that is being kept is kept before the server ends', async () => {
    const { top } = image;
    const hub = createScriptedPort('hub', () => ({ bytes: top.bytes, mediaType: top.mediaType, digest: top.digest }));
    const house = await createHouse({ chain: [hub] });
    const { opened, open } = gate();
    const { putLink } = house.records;
    house.records.putLink = async (...link) => opened.then(() => putLink(...link));
    const asked = house.ask(SILENT.request);
    await settle();
    // Its client is not kept waiting for the disk that long.
    await house.clock.advance(5_000);
    expect((await asked).status).toBe(200);
    let ended = false;
    const ending = house.unowned.end().then(() => (ended = true));
    await settle();
    expect(ended).toBe(false);
    open();
    await ending;
    expect(await house.records.link('docker.io/a/b', top.digest)).toMatchObject({ kind: 'manifest' });
  });

  test('what does not end is not waited for for ever', async () => {
    const clock = createFakeClock();
    const unowned = new Unowned(clock);
    void unowned.track(new Promise(() => undefined));
    let ended = false;
    const ending = unowned.end().then(() => (ended = true));
    await clock.advance(END_MS - 1);
    expect(ended).toBe(false);
    await clock.advance(1);
    await ending;
    expect(clock.pending()).toBe(0);
  });

  test('what it begins as it ends is waited for too', async () => {
    const unowned = new Unowned(createFakeClock());
    const [first, second] = [gate(), gate()];
    void unowned.track(first.opened.then(() => void unowned.track(second.opened)));
    let ended = false;
    const ending = unowned.end().then(() => (ended = true));
    first.open();
    await settle();
    expect(ended).toBe(false);
    second.open();
    await ending;
  });
});
