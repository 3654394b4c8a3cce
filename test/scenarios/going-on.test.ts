import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { scenario, type Stage } from './harness.ts';
import type { RunningHere } from './in-process.ts';
import { ALPINE, blobPath } from './paths.ts';
import { chainTo } from './settings.ts';

const big = randomBlob(1_000_000);

/** `stall`: how long an upstream may send nothing. */
async function standChain(
  stage: Stage,
  count: number,
  stall = '250ms',
): Promise<{ server: RunningHere; upstreams: ScriptedUpstream[] }> {
  const upstreams = [stage.upstream];
  while (upstreams.length < count) upstreams.push(await stage.addUpstream());
  for (const upstream of upstreams) upstream.blob(ALPINE, big);
  const timeout = { connect: '1s', headers: '2s', stall };
  const server = await stage.start(chainTo(Object.fromEntries(upstreams.map(({ url }, at) => [`up${at}`, { url, timeout }]))));
  return { server, upstreams };
}

function startsOf(upstream: ScriptedUpstream): number[] {
  return upstream.seen('GET blob').map(({ range }) => range?.from ?? 0);
}

const own = { settings: null };

describe('a body that is gone on with at the next upstream', () => {
  scenario(
    'one that drips, though never long without a byte, after a while; what it brought is kept',
    async (stage) => {
      const { server, upstreams } = await standChain(stage, 2);
      const [one, two] = upstreams;
      // Only what is waited for counts: drops so far apart are waited for on any machine.
      one!.on('GET blob').drip(100, { everyMs: 80 });
      const reply = await server.get(blobPath(big));
      expect([reply.status, await reply.sha256()]).toEqual([200, big.digest]);
      expect(startsOf(one!)).toEqual([0]);
      // What it brought in four times the stall limit, and less than the least that is enough in that time.
      expect(startsOf(two!)).toHaveLength(1);
      expect(startsOf(two!)[0]).toBeGreaterThan(0);
      expect(startsOf(two!)[0]).toBeLessThan(16 * 1024);
      const metrics = await server.metrics();
      expect(metrics.sum('entrepot_upstream_errors_total', { upstream: 'up0', reason: 'stall' })).toBe(1);
      expect(metrics.sum('entrepot_upstream_resumes_total', { upstream: 'up1' })).toBe(1);
    },
    own,
  );

  scenario(
    'one that sends slowly but enough is left in peace',
    async (stage) => {
      // Four times that is less than it takes in all; and no machine stands still for so long between two drops.
      const { server, upstreams } = await standChain(stage, 2, '700ms');
      const [one, two] = upstreams;
      one!.on('GET blob').drip('16KiB', { everyMs: 50 });
      expect(await (await server.get(blobPath(big))).sha256()).toBe(big.digest);
      expect([startsOf(one!), startsOf(two!)]).toEqual([[0], []]);
    },
    own,
  );

  scenario(
    'the next one ignores Range: what is here already is skipped over',
    async (stage) => {
      const { server, upstreams } = await standChain(stage, 2);
      const [one, two] = upstreams;
      one!.on('GET blob').cutAfter(400_000, 'fin').once();
      one!.on('GET blob').status(503).after(1);
      two!.on('GET blob').ignoreRange();
      expect(await (await server.get(blobPath(big))).sha256()).toBe(big.digest);
      expect([startsOf(two!), two!.seen('GET blob').map(({ status }) => status)]).toEqual([[400_000], [200]]);
      // What is skipped was pulled all the same.
      expect((await server.metrics()).sum('registry_proxy_pulled_bytes_total', { type: 'blob' })).toBe(big.size + 400_000);
    },
    own,
  );

  scenario(
    'the next one sends another range: it is passed by',
    async (stage) => {
      const { server, upstreams } = await standChain(stage, 3);
      const [one, two, three] = upstreams;
      one!.on('GET blob').cutAfter(400_000, 'fin').once();
      one!.on('GET blob').status(503).after(1);
      two!.on('GET blob').wrongRange({ start: 7 });
      expect(await (await server.get(blobPath(big))).sha256()).toBe(big.digest);
      expect([startsOf(two!), startsOf(three!)]).toEqual([[400_000], [400_000]]);
    },
    own,
  );
});
