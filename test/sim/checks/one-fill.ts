import { shortName, BYTES } from '../content.ts';
import { BODY_END_MS, digestOfTransfer, transferText } from '../network.ts';
import type { Check } from './check.ts';

/**
 * One GET of a digest at a time for each registry, and no byte twice, as long as nothing goes wrong and nobody asks for a range.
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
      for (const [transfer, most] of network.most)
        if (most > 1) faults.push(`${most} GETs of ${transferText(transfer)} at once`);
      for (const [transfer, bytes] of network.sent) {
        const { length } = BYTES.get(digestOfTransfer(transfer))!;
        if (bytes > length) faults.push(`${bytes} bytes of ${transferText(transfer)} were fetched, which has ${length}`);
      }
    }
    if (isExcused || faults.length > 0) {
      network.most.clear();
      network.sent.clear();
    }
    return faults;
  },
  async onQuiet({ network, server, waiting }) {
    network.most.clear();
    network.sent.clear();
    const open = (): [string, number][] => [...network.open].filter(([, count]) => count > 0);
    // What was all there but for its end may stall before that.
    for (const until = waiting.now() + BODY_END_MS; open().length > 0 && waiting.now() < until;) await waiting.pause(100);
    const running = server.fills();
    return [
      ...open().map(([transfer]) => `a GET of ${transferText(transfer)} is open though nobody waits`),
      ...running.map(({ digest }) => `a fill of ${shortName(digest)} runs though all is quiet`),
    ];
  },
};
