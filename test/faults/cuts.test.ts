import { describe, expect } from 'vitest';
import { randomBlob, type Blob } from '../fakes/images.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { mib, seed, sized, table } from '../scenarios/acceptance.ts';
import { scenario } from '../scenarios/harness.ts';
import { ALPINE, blobPath } from '../scenarios/paths.ts';
import { chainTo } from '../scenarios/settings.ts';

const KIB = 1024;
const SIZES = sized([300_000, 1_500_000, 5_000_000], [300_000, 1_500_000, 5_000_000, 12_000_001, 20_000_000]);
const ROUNDS = sized(1, 10);

/** Every body ends early, after 1 byte to a tenth of the blob, until what is left is shorter than that. */
function cutAll(upstream: ScriptedUpstream, blobs: readonly Blob[], how: 'fin' | 'rst', from: number): void {
  const random = createSeededRandom(from);
  for (const blob of blobs) {
    const most = Math.max(64 * KIB, blob.size / 10);
    upstream.blob(ALPINE, blob).cutAfter(() => 1 + Math.floor(random.fraction() * most), how);
  }
}

interface Asked {
  readonly from: number;
  readonly sent: number;
}

/** By digest, in the order in which they came. */
function askedOf(upstreams: readonly ScriptedUpstream[], blob: Blob): Asked[] {
  return upstreams.flatMap((upstream) =>
    upstream.seen(`GET ${blob.digest}`).map(({ range, sent }) => ({ from: range?.from ?? 0, sent })),
  );
}

describe('[P68] an upstream that cuts every body after a random number of bytes', () => {
  for (const how of ['fin', 'rst'] as const) {
    for (const count of [1, 2]) {
      scenario(
        `${count} upstream${count > 1 ? 's' : ''}, ${how}: every pull is whole, and no byte is accepted twice`,
        async (stage) => {
          const upstreams = [stage.upstream, ...(count > 1 ? [await stage.addUpstream()] : [])];
          const chain = Object.fromEntries(upstreams.map(({ url }, at) => [`up${at}`, { url }]));
          const server = await stage.startProcess(chainTo(chain));
          const blobs = Array.from({ length: ROUNDS }, (_, round) =>
            SIZES.map((size, at) => randomBlob(size, seed * 1000 + round * 10 + at)),
          );
          for (const [at, upstream] of upstreams.entries()) cutAll(upstream, blobs.flat(), how, seed + at);
          for (const round of blobs) {
            await Promise.all(
              round.map(async (blob) => {
                const reply = await server.get(blobPath(blob));
                expect([reply.status, await reply.sha256()]).toEqual([200, blob.digest]);
              }),
            );
          }
          await server.settled();

          let fruitless = 0;
          for (const blob of blobs.flat()) {
            const asked = askedOf(upstreams, blob).toSorted((one, other) => one.from - other.from);
            expect(asked[0]!.from).toBe(0);
            for (const [at, { from }] of asked.entries()) {
              const before = asked[at - 1];
              if (before === undefined) continue;
              if (from === before.from) fruitless += 1;
              // Never into what was accepted, never past what was sent.
              expect(from).toBeGreaterThanOrEqual(before.from);
              expect(from).toBeLessThanOrEqual(before.from + before.sent);
            }
          }
          const metrics = await server.metrics();
          const total = blobs.flat().reduce((sum, { size }) => sum + size, 0);
          const resumes = metrics.sum('entrepot_upstream_resumes_total');
          // What is counted is what was accepted: equal to the size means that no range began before or behind its place.
          expect(metrics.sum('registry_proxy_pulled_bytes_total', { type: 'blob' })).toBe(total);
          expect(metrics.sum('entrepot_verify_failures_total')).toBe(0);
          expect(resumes).toBeGreaterThan(blobs.flat().length * 3);
          table(`cuts: ${how}, ${count} upstream(s)`, {
            blobs: `${blobs.flat().length}, ${mib(total)} in all`,
            'accepted from upstreams': `${metrics.sum('registry_proxy_pulled_bytes_total', { type: 'blob' })} of ${total} bytes`,
            'sent by upstreams': upstreams.flatMap(({ requests }) => requests).reduce((sum, { sent }) => sum + sent, 0),
            'requests upstream': upstreams.reduce((sum, upstream) => sum + upstream.hits('GET blob'), 0),
            'bodies gone on with': resumes,
            'bodies of which nothing arrived': fruitless,
            'failed pulls': 0,
          });
        },
        { settings: null, timeoutMs: sized(30_000, 300_000) },
      );
    }
  }
});
