import { shortName } from '../content.ts';
import type { Check } from './check.ts';

/** A process that ends by itself has given back all that it held: files, timers, transfers. */
export const cleanExit: Check = {
  of: 'promise 7, I10',
  onDrained({ machine, server, network, running }) {
    const open = [...network.open].filter(([, count]) => count > 0);
    return [
      ...machine.disk.openFiles().map((path) => `${path} is open after the end`),
      ...(server.life.timers() > 0 ? [`${server.life.timers()} timers are set after the end`] : []),
      ...open.map(([digest, count]) => `${count} transfers of ${shortName(digest)} run after the end`),
      ...[...running].map(({ what }) => `"${what}" waits after the end`),
    ];
  },
};
