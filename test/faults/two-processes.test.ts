import { describe, expect } from 'vitest';
import type { Reply } from '../fakes/http-client.ts';
import { randomBlob } from '../fakes/images.ts';
import { createGate } from '../fakes/scripted-behaviour.ts';
import { scenario } from '../scenarios/harness.ts';
import { ALPINE, blobPath } from '../scenarios/paths.ts';
import { routesTo } from '../scenarios/settings.ts';

const layer = randomBlob(3_000_000, 5);
/** So much the second has shown, and so been told, before the first is gone: most of what the upstream sent. */
const TOLD = 1_900_000;

async function readAtLeast(reply: Reply, bytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let read = 0; read < bytes;) {
    const piece = (await reply.next())!;
    pieces.push(piece);
    read += piece.length;
  }
  return Buffer.concat(pieces);
}

/**
 * Two servers of their own over one directory: the leases, the told frontier and the take-over with real clocks, a real
 * disk and a process that really stands still.
 */
describe.concurrent('two processes over one directory', () => {
  scenario(
    '[decision 2] [R08] one of two processes is stopped in mid-fill: the other goes on from what it told, and neither is wrong',
    async ({ upstream, startProcess }) => {
      const gate = createGate();
      upstream.blob(ALPINE, layer).holdAfter(2_000_000, gate).to('GET').once();
      const one = await startProcess(routesTo(upstream), { name: 'same' });
      const two = await startProcess(routesTo(upstream), { name: 'same' });
      expect((await two.logged('socket taken')).level).toBe('warn');
      const leading = await one.get(blobPath(layer));
      const begun = (await leading.next())!;
      await gate.reached;
      // The second follows: it shows bytes without having asked for any.
      const following = await two.get(blobPath(layer));
      const first = await readAtLeast(following, TOLD);
      expect(upstream.hits('GET blob')).toBe(1);
      one.signal('SIGSTOP');
      try {
        const rest = await following.untilBroken();
        expect(rest.broken).toBe(false);
        expect(Buffer.concat([first, rest.bytes]).equals(layer.bytes)).toBe(true);
        expect(upstream.hits('GET blob')).toBe(2);
        expect(upstream.seen('GET blob')[1]!.range!.from).toBeGreaterThanOrEqual(TOLD);
      } finally {
        one.signal('SIGCONT');
      }
      gate.open();
      const woken = await leading.untilBroken();
      const whole = Buffer.concat([begun, woken.bytes]);
      expect(woken.broken ? whole.length < layer.size : whole.equals(layer.bytes)).toBe(true);
      for (const server of [one, two]) {
        expect(await (await server.get(blobPath(layer))).sha256()).toBe(layer.digest);
      }
    },
    { settings: null, timeoutMs: 60_000 },
  );

  scenario(
    '[decision 2] two processes ask once between them; when the one that leads is killed, the other needs only the rest',
    async ({ upstream, startProcess }) => {
      const gate = createGate();
      upstream.blob(ALPINE, layer).holdAfter(2_000_000, gate).to('GET').once();
      const one = await startProcess(routesTo(upstream), { name: 'same' });
      const two = await startProcess(routesTo(upstream), { name: 'same' });
      const leading = await one.get(blobPath(layer));
      await leading.next();
      await gate.reached;
      const following = await two.get(blobPath(layer));
      const first = await readAtLeast(following, TOLD);
      const killed = leading.untilBroken();
      await one.kill('SIGKILL');
      expect((await killed).broken).toBe(true);
      const { bytes, broken } = await following.untilBroken();
      expect(broken).toBe(false);
      expect(Buffer.concat([first, bytes]).equals(layer.bytes)).toBe(true);
      expect(upstream.seen('GET blob').map(({ range }) => (range?.from ?? 0) >= TOLD)).toEqual([false, true]);
      gate.open();
    },
    { settings: null, timeoutMs: 60_000 },
  );
});
