import { parseDigest, type Digest } from '../../src/oci/digest.ts';
import { BLOBS } from './content.ts';
import { pullImage, pullOne } from './pull-image.ts';
import { change, pushBlob, pushImage } from './push-image.ts';
import { blobPath, manifestPath, uploadsPath } from './pusher.ts';
import type { Doing } from './step.ts';
import type { World } from './world.ts';

/** How long all may take to end, once nothing is wrong any more (I10). */
const SETTLE_MS = 60_000;

/** Does one thing. What clients begin goes on by itself. */
export async function act(world: World, doing: Doing): Promise<void> {
  switch (doing.do) {
    case 'pull':
      if (doing.wish.range !== undefined || doing.wish.leavesAfter !== undefined) world.eventful = true;
      return world.begin('pull', async (gone) => void (await pullOne(world, doing.wish, gone)));
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
    case 'mood':
      world.eventful = true;
      if (doing.mood === 'liar' || world.network.mood(doing.upstream) === 'liar') world.liedAt = world.now;
      return world.network.setMood(doing.upstream, doing.mood);
    case 'disk':
      world.trouble();
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
  if (!(await world.settle(SETTLE_MS))) {
    const waiting = [...world.running].map(({ what, since }) => `${what} (since ${since})`).join(', ');
    world.faults.push(`[I10] after ${SETTLE_MS} ms these still wait: ${waiting}`);
    return;
  }
  await world.pass(2_000);
  await world.through(world.judge.at(world, 'onQuiet'));
  world.eventful = false;
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

/** Where it is not hosted: what was pushed cannot be had again. */
async function damage(world: World, digest: Digest, how: 'gone' | 'short' | 'flip'): Promise<void> {
  const { disk } = world.machine;
  const path = pathOf(digest);
  if (world.hosted.mayHold(digest) || (await disk.stat(path)) === undefined) return;
  world.eventful = true;
  world.forgetKept();
  (how === 'flip' ? world.rotten : world.shortened).add(digest);
  if (how === 'gone') return void (await disk.unlink(path));
  const file = (await disk.open(path, 'update'))!;
  const size = await file.size();
  if (how === 'short') await file.truncate(Math.floor(size / 2));
  if (how === 'flip') await file.write(Uint8Array.of(255), Math.floor(size / 2));
  await file.close();
}

function pathOf(digest: Digest): string {
  const [algorithm, hex = ''] = digest.split(':');
  return `/data/entrepot/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}`;
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
  server.life.end();
  world.note('ended by itself');
  await world.start();
}
