import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import { sized, table, until } from '../scenarios/acceptance.ts';
import { scenario, times } from '../scenarios/harness.ts';
import { ALPINE, blobPath } from '../scenarios/paths.ts';
import { routesTo } from '../scenarios/settings.ts';

/** Sixty-four connections at once. */
const LIMIT = 256;

describe('[R37] few descriptors', () => {
  scenario(
    'more clients than there are descriptors: no crash, what is answered is right, and all is well afterwards',
    async (stage) => {
      const blobs = times(8, (at) => randomBlob(20_000 + at * 150_000, at + 1));
      for (const blob of blobs) stage.upstream.blob(ALPINE, blob);
      const server = await stage.startProcess(routesTo(stage.upstream), {
        through: ['bash', '-c', `ulimit -n ${LIMIT}; exec "$0" "$@"`],
      });
      for (const blob of blobs.slice(0, 4)) await (await server.get(blobPath(blob))).sha256();
      await server.settled();
      const seen = { right: 0, refused: 0, cut: 0, wrong: 0 };
      await Promise.all(
        times(sized(300, 1000), async (at) => {
          const blob = blobs[at % blobs.length]!;
          try {
            const reply = await server.get(blobPath(blob));
            const got = await reply.sha256();
            if (reply.status !== 200) seen.refused += 1;
            else if (got === blob.digest) seen.right += 1;
            else seen.wrong += 1;
          } catch {
            seen.cut += 1;
          }
        }),
      );
      expect(seen.wrong).toBe(0);
      expect(seen.right).toBeGreaterThan(0);
      // Upstreams that could not be dialled for want of descriptors are up again soon.
      await until(
        async () => (await server.debug('/readyz')).status,
        (status) => status === 200,
      );
      for (const blob of blobs) expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
      table(`${sized(300, 1000)} clients at ulimit -n ${LIMIT}`, seen);
    },
    { settings: null, timeoutMs: 60_000 },
  );
});
