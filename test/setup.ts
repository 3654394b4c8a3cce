import fc from 'fast-check';
import { afterAll } from 'vitest';
import { guardNetwork } from './fakes/network-guard.ts';

/**
 * What fails a test file whatever its tests say: a promise that nobody awaited, an error that nobody caught, a warning of
 * Node's (leaked listeners above all), a connection to anything but this machine.
 */
const KEPT = Symbol.for('entrepot: faults of a test file');
const kept = globalThis as { [KEPT]?: string[] };
const faults = kept[KEPT] ?? watch((kept[KEPT] = []));

// The same cases for everybody who changes something; `npm run accept:properties` looks for new ones.
if (process.env['ENTREPOT_PROPERTIES'] !== 'random') fc.configureGlobal({ seed: 20_251_121 });

afterAll(async () => {
  // Node reports rejections and warnings a turn after they happen.
  await new Promise((resolve) => setImmediate(resolve));
  const found = faults.splice(0);
  if (found.length > 0) throw new Error(found.join('\n'));
});

/** Once for each process, which may run several files one after the other. */
function watch(faults: string[]): string[] {
  process.on('unhandledRejection', (reason) => faults.push(`unhandled rejection: ${describeFault(reason)}`));
  process.on('uncaughtExceptionMonitor', (error) => faults.push(`uncaught exception: ${describeFault(error)}`));
  process.on('warning', (warning) => faults.push(`warning: ${describeFault(warning)}`));
  guardNetwork((target) => faults.push(`a connection to ${target}: tests stay on the loopback`));
  return faults;
}

function describeFault(value: unknown): string {
  return value instanceof Error ? (value.stack ?? value.message) : String(value);
}
