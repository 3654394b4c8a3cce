import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { randomBlob } from '../../fakes/images.ts';
import { ABSENT, createScriptedPort, type PortScript } from '../../fakes/scripted-port.ts';
import { createHeldDisk } from './held-disk.ts';
import { bytesOf, createHouse, settle, sha256 } from './house.ts';

const blob = randomBlob(900_000, 1);
const another = randomBlob(800_000, 2);
const supply: PortScript = ({ reference }) => ({ bytes: reference === blob.digest ? blob.bytes : another.bytes });

async function house(script = supply, policy = {}) {
  const held = createHeldDisk();
  const clock = createFakeClock();
  const [hub, spare] = [createScriptedPort('hub', script), createScriptedPort('spare', supply)];
  const ours = await createHouse({ chain: [hub, spare], disk: held.disk, clock, policy });
  const refuse = (nth: number) => held.disk.fail({ on: 'open', when: ({ path }) => path.includes('/parts/'), nth, as: 'EIO' });
  return { ...held, hub, spare, clock, refuse, house: ours };
}

/** What has come of it by now. */
function watched<T>(work: Promise<T>): { isSettled: boolean } {
  const seen = { isSettled: false };
  work.catch(() => undefined).finally(() => (seen.isSettled = true));
  return seen;
}

describe('[promise 2] the place for a fill’s bytes is made while an upstream is asked', () => {
  test('it is asked before there is one, once, and nobody is told anything until then', async () => {
    const { hub, hold, goOn, house: ours } = await house();
    hold('create');
    const pull = ours.blob('a/b', blob.digest);
    const told = watched(pull);
    await settle();
    expect(hub.gets()).toHaveLength(1);
    expect(hub.sent()).toBe(0);
    expect(told.isSettled).toBe(false);
    goOn();
    expect(sha256(await bytesOf(await pull))).toBe(blob.digest);
    expect(hub.asked).toHaveLength(1);
  });

  test('where none can be made the question ends at once, and the client has a transfer of its own', async () => {
    const { hub, refuse, house: ours } = await house((request, at) => (at === 0 ? 'hang' : supply(request, at)));
    refuse(1);
    expect(sha256(await bytesOf(await ours.blob('a/b', blob.digest)))).toBe(blob.digest);
    expect(hub.gets()).toHaveLength(2);
    expect(hub.openBodies()).toBe(0);
    expect(ours.fills.running()).toEqual([]);
  });

  test('an answer that was there before that is closed', async () => {
    const { hub, hold, goOn, refuse, house: ours } = await house();
    hold('create');
    const pull = ours.blob('a/b', blob.digest);
    await settle();
    refuse(1);
    goOn();
    expect(sha256(await bytesOf(await pull))).toBe(blob.digest);
    expect(hub.openBodies()).toBe(0);
  });

  test('[promise 5] after one that found no place the next ones have theirs before they ask', async () => {
    const { hub, hold, goOn, refuse, house: ours } = await house();
    refuse(1);
    await bytesOf(await ours.blob('a/b', blob.digest));
    const before = hub.asked.length;
    hold('create');
    const pull = ours.blob('a/b', another.digest);
    await settle();
    expect(hub.asked).toHaveLength(before);
    goOn();
    expect(sha256(await bytesOf(await pull))).toBe(another.digest);
    expect(hub.asked).toHaveLength(before + 1);
  });

  test('who has answered is not hedged because the place takes its time', async () => {
    const { hub, spare, clock, hold, goOn, house: ours } = await house(supply, { hedge: true });
    hold('create');
    const pull = ours.blob('a/b', blob.digest);
    await settle();
    await clock.advance(2_000);
    goOn();
    expect(sha256(await bytesOf(await pull))).toBe(blob.digest);
    expect([hub.gets().length, spare.asked.length]).toEqual([1, 0]);
  });

  test('who refuses is followed by the next before there is one', async () => {
    const { spare, hold, goOn, house: ours } = await house(() => ABSENT);
    hold('create');
    const pull = ours.blob('a/b', blob.digest);
    await settle();
    expect(spare.gets()).toHaveLength(1);
    goOn();
    expect(sha256(await bytesOf(await pull))).toBe(blob.digest);
  });

  test('a fill that is parked meanwhile leaves no file open', async () => {
    const { disk, hold, goOn, house: ours } = await house(() => 'hang');
    hold('create');
    const pull = ours.blob('a/b', blob.digest).then(bytesOf);
    pull.catch(() => undefined);
    await settle();
    const parked = ours.fills.park();
    await settle();
    goOn();
    await parked;
    await expect(pull).rejects.toThrow('no upstream');
    await settle();
    await ours.blobs.close();
    expect(disk.openFiles()).toEqual([]);
  });
});
