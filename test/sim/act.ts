import { parseDigest, type Digest } from '../../src/oci/digest.ts';
import { BLOBS, shortName } from './content.ts';
import { pathOf } from './disk-path.ts';
import { pullImage, pullOne } from './pull-image.ts';
import { change, pushBlob, pushImage } from './push-image.ts';
import { blobPath, manifestPath, uploadsPath } from './pusher.ts';
import { BODY_END_MS } from './network.ts';
import type { Doing } from './step.ts';
import type { World } from './world.ts';

/** How long all may take to end, once nothing is wrong any more (I10). */
const SETTLE_MS = 60_000;

/** A command may wait for another's end before it begins. */
const COMMAND_MS = 240_000;

/** Does one thing. What clients begin goes on by itself. */
export async function act(world: World, doing: Doing): Promise<void> {
  switch (doing.do) {
    case 'pull':
      if (doing.wish.range !== undefined || doing.wish.leavesAfter !== undefined) world.eventful = true;
      for (let left = doing.times; left > 0; left -= 1)
        world.begin('pull', async (gone) => void (await pullOne(world, doing.wish, gone)));
      return undefined;
    case 'pull-image':
      return world.begin(`pull ${doing.repository}:${doing.reference}`, (gone) =>
        pullImage(world, doing.repository, doing.reference, gone),
      );
    case 'push-image':
      return world.begin(
        `push ${doing.image} to ${doing.repository}`,
        async (gone) => void (await pushImage(world, doing, gone)),
      );
    case 'push-blob':
      return world.begin(`push b${doing.blob} to ${doing.repository}`, async (gone) => {
        await pushBlob(world, doing.repository, BLOBS[doing.blob]!.digest, doing.way, gone);
      });
    case 'mount':
      return mount(world, doing.repository, doing.from, doing.digest as Digest);
    case 'delete':
      return remove(world, doing.repository, doing.kind, doing.reference);
    case 'move':
      return world.truth.move(doing.upstream, doing.repository, doing.tag, doing.image);
    case 'untag':
      return world.truth.untag(doing.upstream, doing.repository, doing.tag);
    case 'collect':
      return collect(world, doing.dryRun, doing.deleteUntagged);
    case 'scrub':
      return scrub(world, doing.repair);
    case 'mood':
      world.eventful = true;
      if (doing.mood === 'liar' || world.network.mood(doing.upstream) === 'liar') world.liedAt = world.now;
      return world.network.setMood(doing.upstream, doing.mood);
    case 'disk':
      world.trouble();
      world.readsFail ||= doing.on.includes('read') && typeof doing.as === 'string';
      for (const on of doing.on) {
        world.lifts.push(world.machine.disk.fail({ on, as: doing.as, ...(doing.nth === undefined ? {} : { nth: doing.nth }) }));
      }
      return undefined;
    case 'metadata':
      world.trouble();
      world.machine.metadataHealth = doing.health;
      return undefined;
    case 'damage':
      return damage(world, doing.digest as Digest, doing.how);
    case 'calm':
      return world.calm();
    case 'settle':
      return settle(world);
    case 'jump':
      return world.jump(doing.ms);
    case 'reload':
      if (world.settings.offline) world.offlineUntil = world.now;
      // What is evicted meanwhile is nobody's fault.
      if (world.settings.maxBytes !== undefined || doing.settings.maxBytes !== undefined) world.forgetKept();
      world.settings = doing.settings;
      world.settingsSince = world.now;
      world.eventful = true;
      return world.server.reload(doing.settings);
    case 'terminate':
      return terminate(world, doing.drainMs);
    case 'crash':
      if (doing.after === 0) return world.crash(doing.how);
      world.crashing = doing.how;
      world.machine.callsLeft = doing.after;
      return undefined;
  }
}

/** Nothing is wrong any more; then all ends in time, and what must hold at rest is looked at. */
export async function settle(world: World): Promise<void> {
  world.machine.callsLeft = Infinity;
  world.calm();
  world.network.allUp();
  if (!(await world.settle(SETTLE_MS)) && !(isCommandAlone(world) && (await world.settle(COMMAND_MS)))) {
    const waiting = [
      ...[...world.running].map(({ what, since }) => `${what} (since ${since})`),
      ...world.server.fills().map(({ digest }) => `the fill of ${shortName(digest)}`),
    ].join(', ');
    world.faults.push(`[I10] after ${SETTLE_MS} ms these still wait: ${waiting}`);
    return;
  }
  await world.pass(2_000);
  await world.settle(SETTLE_MS, true); // Of what is filled ahead nobody knows before it begins.
  await world.through(world.judge.at(world, 'onQuiet'));
  world.eventful = false;
}

/** What an operator asked for, and no client's request. */
function isCommandAlone({ running }: World): boolean {
  return running.size > 0 && [...running].every(({ what }) => what === 'scrub' || what === 'collect');
}

function mount(world: World, repository: string, from: string, digest: Digest): void {
  world.begin('mount', async (gone) => {
    const path = uploadsPath(repository, `?mount=${digest}&from=${from}`);
    const mounted = world.hosted.pushBlob(repository, digest);
    const { status, headers } = await change(world, { method: 'POST', path }, undefined, gone);
    if (status === 201) mounted.acknowledged();
    else mounted.unknown();
    // Nobody goes on with the upload that it became.
    if (status === 202) await change(world, { method: 'DELETE', path: headers['location']! }, undefined, gone);
  });
}

function remove(world: World, repository: string, kind: 'blob' | 'manifest', reference: string): void {
  world.eventful = true;
  world.forgetKept();
  world.begin(`delete ${reference}`, async (gone) => {
    const digest = parseDigest(reference);
    const path = kind === 'blob' ? blobPath(repository, digest!) : manifestPath(repository, reference);
    const { hosted } = world;
    const deletion =
      digest === undefined
        ? hosted.deleteTag(repository, reference)
        : kind === 'blob'
          ? hosted.deleteBlob(repository, digest)
          : hosted.deleteManifest(repository, digest);
    await change(world, { method: 'DELETE', path }, deletion, gone);
  });
}

function collect(world: World, dryRun: boolean, deleteUntagged: boolean): void {
  world.begin('collect', async () => {
    const { server } = world;
    const collection = { deleteUntagged, wallMax: world.machine.clock.now() };
    if (!dryRun) world.collections.add(collection);
    let steps = 0;
    try {
      for await (const _ of server.collecting.collect({ dryRun, deleteUntagged })) steps += 1;
      world.note(`collected in ${steps} steps`);
    } catch (error) {
      world.note(`collecting failed: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      world.collectionEnded(collection);
    }
  });
}

function scrub(world: World, repair: boolean): void {
  world.eventful = true;
  world.begin('scrub', async () => {
    try {
      for await (const step of world.server.scrubbing.scrub({ repair })) {
        if (step.kind === 'damaged')
          world.note(`scrub: ${shortName(step.digest)} is damaged, ${step.repaired ? 'repaired' : 'as it is'}`);
        if (step.kind === 'scrubbed') world.note(`scrubbed ${step.blobs} blobs, ${step.damaged} damaged`);
      }
    } catch (error) {
      world.note(`scrubbing failed: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
}

/** Where it is not hosted: what was pushed cannot be had again. */
function damage(world: World, digest: Digest, how: 'gone' | 'short' | 'flip'): void {
  const { disk } = world.machine;
  const path = pathOf(digest);
  const bytes = disk.peek().get(path);
  if (world.hosted.mayHold(digest) || bytes === undefined) return;
  world.eventful = true;
  world.forgetKept();
  if (how === 'flip') world.rotten.set(digest, world.now);
  else world.shortened.add(digest);
  const copy = Uint8Array.from(bytes);
  const middle = Math.floor(bytes.length / 2);
  if (how === 'gone') return disk.meddle(path, undefined);
  if (how === 'short') return disk.meddle(path, copy.subarray(0, middle));
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return disk.meddle(path, copy);
}

async function terminate(world: World, drainMs: number): Promise<void> {
  const { server, running } = world;
  world.eventful = true;
  const edge = async (): Promise<void> => {
    const until = world.now + drainMs;
    while (running.size > 0 && world.now < until) await world.waiting.pause(100);
    for (const { gone } of running) gone.abort(new Error('the server ends'));
    for (let turns = 0; running.size > 0 && turns < 100; turns++) await world.waiting.pause(100);
  };
  await world.through(server.drain(edge));
  if (world.server !== server) return; // The power went meanwhile.
  world.judge.drained(world);
  // What was all there but for its end is read to it, so that the connection is good for more.
  await world.machine.clock.advance(BODY_END_MS);
  // A collection that runs on is broken off with the process.
  if (running.size === 0) world.judge.ended(world);
  server.life.end();
  world.forgetRunning();
  world.note('ended by itself');
  await world.start();
}
