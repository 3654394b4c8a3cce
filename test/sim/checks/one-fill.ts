import { shortName, BYTES } from '../content.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { BODY_END_MS } from '../network.ts';
import type { Check } from './check.ts';

/**
 * One GET of a digest at a time, and no byte twice, as long as nothing goes wrong, nobody asks for a range, and it is asked for in one
 * registry (src/README.md, Decisions: nobody waits for a fill of another).
 */
export const oneFill: Check = {
  of: 'promise 2, I9',
  onStep(world) {
    const { network } = world;
    const faults: string[] = [];
    // What finds no room, or a store that is too slow, passes by; what was evicted comes again.
    const isPassedBy = world.stepSince < world.leftAloneUntil || world.nature.tempo === 'slow';
    const isExcused = world.eventful || world.settings.maxBytes !== undefined || isPassedBy;
    if (!isExcused) {
      const isOne = (digest: Digest): boolean => (network.sides.get(digest)?.size ?? 0) < 2;
      for (const [digest, most] of network.most)
        if (most > 1 && isOne(digest)) faults.push(`${most} GETs of ${shortName(digest)} at once`);
      for (const [digest, bytes] of network.sent) {
        const { length } = BYTES.get(digest)!;
        if (bytes > length && isOne(digest))
          faults.push(`${bytes} bytes of ${shortName(digest)} were fetched, which has ${length}`);
      }
    }
    if (isExcused || faults.length > 0) {
      network.most.clear();
      network.sent.clear();
      network.sides.clear();
    }
    return faults;
  },
  async onQuiet({ network, server, waiting }) {
    network.most.clear();
    network.sent.clear();
    network.sides.clear();
    const open = (): [Digest, number][] => [...network.open].filter(([, count]) => count > 0);
    // What was all there but for its end may stall before that.
    for (const until = waiting.now() + BODY_END_MS; open().length > 0 && waiting.now() < until;) await waiting.pause(100);
    const running = server.fills();
    return [
      ...open().map(([digest]) => `a GET of ${shortName(digest)} is open though nobody waits`),
      ...running.map(({ digest }) => `a fill of ${shortName(digest)} runs though all is quiet`),
    ];
  },
};
