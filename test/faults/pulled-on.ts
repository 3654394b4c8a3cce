import { expect } from 'vitest';
import type { Blob } from '../fakes/images.ts';
import { until } from '../scenarios/acceptance.ts';
import { blobPath } from '../scenarios/paths.ts';
import type { RunningProcess } from '../scenarios/process.ts';

/** What {@link condition} says of a server whose disk works, and of one that says that it does not. */
export const WELL = /^200 .* 0$/;
export const DEGRADED = /^200 .*"degraded":\["storage"\].* 1$/;

/** The whole blob, whatever the disk does; yields its Cache-Status. */
export async function pull(server: RunningProcess, blob: Blob): Promise<string> {
  const reply = await server.get(blobPath(blob));
  expect([reply.status, await reply.sha256()]).toEqual([200, blob.digest]);
  return String(reply.headers['cache-status']);
}

/** What probes and metrics say. */
export async function condition(server: RunningProcess): Promise<string> {
  const ready = await server.debug('/readyz');
  const degraded = (await server.metrics()).sum('entrepot_degraded', { reason: 'storage' });
  return `${ready.status} ${await ready.text()} ${degraded}`;
}

/** Pulls it until it is a hit: for some seconds after the last trouble pulls still pass through. */
export async function cachedAgain(server: RunningProcess, blob: Blob): Promise<void> {
  await until(
    async () => {
      const status = await pull(server, blob);
      await server.settled();
      return status;
    },
    (status) => status.includes('; hit'),
    20_000,
  );
}
