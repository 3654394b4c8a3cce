import { transferText } from '../network.ts';
import type { Check } from './check.ts';

/** A process that ends by itself has given back all that it held: files, timers, transfers. */
export const cleanExit: Check = {
  of: 'promise 7, I10',
  onDrained: ({ machine, running }) => [
    ...[...running].filter(({ what }) => what === 'scrub').map(() => 'a scrub goes on after the end'),
    // A collection that runs on is broken off with the process.
    ...(running.size === 0 ? machine.disk.openFiles().map((path) => `${path} is open after the end`) : []),
  ],
  // One timer for many calls may still be set, and finds nobody.
  onEnded: ({ network, server }) => [
    ...(server.life.timers() > 0 ? [`${server.life.timers()} timers are set after the end`] : []),
    ...[...network.open].flatMap(([transfer, count]) =>
      count > 0 ? [`${count} transfers of ${transferText(transfer)} run after the end`] : [],
    ),
  ],
};
