import { createGate } from '../fakes/scripted-behaviour.ts';
import type { Image } from '../fakes/images.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { seed } from './acceptance.ts';
import type { Stage } from './harness.ts';
import type { Metrics } from './metrics.ts';
import { chainTo, type Settings } from './settings.ts';

const MIB = 1024 * 1024;
const LAYERS = [3 * MIB, 2 * MIB + 1, 3 * MIB + 7, 2 * MIB + 500_000, 4 * MIB];

/** Three upstreams that hold the same image, none of which serves it in peace. */
export interface ThreeUpstreams {
  readonly settings: Settings;
  readonly image: Image;
  /** By their names in the configuration. */
  readonly upstreams: Readonly<Record<'killed' | 'stalling' | 'cutting', ScriptedUpstream>>;
  /** Resolves when the first is dead, which happens as it is in the middle of a layer. */
  readonly death: Promise<void>;
}

export async function standThree(stage: Stage, repository: string): Promise<ThreeUpstreams> {
  const killed = stage.upstream;
  const stalling = await stage.addUpstream();
  const cutting = await stage.addUpstream({ random: createSeededRandom(seed) });
  const image = killed.image(repository, 'latest', { layers: LAYERS });
  for (const other of [stalling, cutting]) {
    other.manifest(repository, 'latest', image.top);
    for (const blob of [image.config, ...image.layers]) other.blob(repository, blob);
  }
  const gate = createGate();
  for (const layer of image.layers) killed.blob(repository, layer).holdAfter(1 * MIB, gate);
  const death = gate.reached.then(() => killed.down());
  stalling.on('GET blob').stallAfter(1 * MIB);
  cutting.on('GET blob').cutAfter('random', 'fin');
  const upstreams = { killed, stalling, cutting };
  const timeout = { connect: '500ms', headers: '2s', stall: '400ms' };
  const chain = Object.fromEntries(Object.entries(upstreams).map(([name, { url }]) => [name, { url, timeout }]));
  return { settings: chainTo(chain, { balance: 'round-robin' }), image, upstreams, death };
}

/** How often each went on with a body that had broken: as the metric says, and as the upstreams themselves saw it. */
export function resumesOf({ upstreams }: ThreeUpstreams, metrics: Metrics): Record<'said' | 'seen', Record<string, number>> {
  const entries = Object.entries(upstreams);
  return {
    said: Object.fromEntries(
      entries.map(([name]) => [name, metrics.sum('entrepot_upstream_resumes_total', { upstream: name })]),
    ),
    seen: Object.fromEntries(
      entries.map(([name, upstream]) => [
        name,
        upstream.seen('206 GET blob').filter(({ range }) => (range?.from ?? 0) > 0).length,
      ]),
    ),
  };
}
