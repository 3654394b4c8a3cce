import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { sized, table } from './acceptance.ts';
import { scenario, times, type Stage } from './harness.ts';
import type { RunningHere } from './in-process.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import { chainTo, type Settings } from './settings.ts';

interface Three {
  readonly server: RunningHere;
  readonly upstreams: readonly ScriptedUpstream[];
  /** Pulls so many blobs that nobody has pulled before, a few at a time; yields how many each upstream was asked for. */
  pullBlobs(count: number): Promise<number[]>;
}

/** docker.io from three upstreams that hold the same; `weights`: of each. */
async function standThree(stage: Stage, policy: Settings, weights: readonly number[] = [1, 1, 1]): Promise<Three> {
  const upstreams = [stage.upstream, await stage.addUpstream(), await stage.addUpstream()];
  const chain = upstreams.map(({ url }, at) => [`up${at}`, { url, weight: weights[at]! }] as const);
  const server = await stage.start(chainTo(Object.fromEntries(chain), policy));
  let pulled = 0;

  async function pullBlobs(count: number): Promise<number[]> {
    const blobs = times(count, () => randomBlob(500, ++pulled));
    for (const upstream of upstreams) {
      upstream.forget();
      for (const blob of blobs) upstream.blob(ALPINE, blob);
    }
    const left = [...blobs];
    await Promise.all(
      times(4, async () => {
        for (let blob = left.shift(); blob !== undefined; blob = left.shift())
          expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
      }),
    );
    return upstreams.map((upstream) => upstream.hits('GET blob'));
  }

  return { server, upstreams, pullBlobs };
}

const own = { settings: null, timeoutMs: 60_000 };

/** Of a hundred; without a choice it would be a third. Beside other tests a fast upstream may seem slow for a moment. */
const MOST = sized(75, 90);

describe('[#3.2] least-latency', () => {
  scenario(
    'most go to the fastest; they leave it when it turns slow, and come back when it has recovered',
    async (stage) => {
      const { upstreams, pullBlobs } = await standThree(stage, { balance: 'least-latency' });
      for (const [at, ms] of [5, 50, 200].entries()) upstreams[at]!.all.delay(ms);
      const first = await pullBlobs(200);
      const settled = await pullBlobs(100);
      expect(settled[0]).toBeGreaterThanOrEqual(MOST);

      upstreams[0]!.all.clear().delay(300);
      const slow = await pullBlobs(100);
      expect(slow[1]! + slow[2]!).toBeGreaterThanOrEqual(MOST - 10);

      upstreams[0]!.all.clear().delay(5);
      const recovering = await pullBlobs(200);
      const back = await pullBlobs(100);
      expect(back[0]).toBeGreaterThanOrEqual(MOST);
      table('least-latency: content requests to the first, second and third', {
        'first 200 (5, 50, 200 ms)': first.join(', '),
        'the next 100': settled.join(', '),
        '100 more (300, 50, 200 ms)': slow.join(', '),
        '200 more (5, 50, 200 ms)': recovering.join(', '),
        'the next 100 again': back.join(', '),
      });
    },
    own,
  );
});

describe('shares of the upstreams, counted', () => {
  scenario(
    'round-robin: each the same',
    async (stage) => {
      const { pullBlobs } = await standThree(stage, { balance: 'round-robin' });
      expect(await pullBlobs(60)).toEqual([20, 20, 20]);
    },
    own,
  );

  scenario(
    'weighted: each by its weight',
    async (stage) => {
      const { pullBlobs } = await standThree(stage, { balance: 'weighted' }, [1, 2, 3]);
      expect(await pullBlobs(60)).toEqual([10, 20, 30]);
    },
    own,
  );

  for (const [replicas, shares] of [
    [false, [12, 0, 0]],
    [true, [4, 4, 4]],
  ] as const) {
    scenario(
      `tags ${replicas ? 'are spread where the upstreams are replicas' : 'are asked in the order of the chain'}`,
      async (stage) => {
        const { server, upstreams } = await standThree(stage, { balance: 'round-robin', replicas });
        for (const upstream of upstreams) times(12, (at) => upstream.image(ALPINE, `v${at}`, { label: `tag ${at}` }));
        for (const tag of times(12, (at) => `v${at}`)) expect((await server.get(manifestPath(tag))).status).toBe(200);
        expect(upstreams.map((upstream) => upstream.hits('manifest'))).toEqual(shares);
      },
      own,
    );
  }
});
