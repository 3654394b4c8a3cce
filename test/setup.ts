import fc from 'fast-check';
import { afterAll } from 'vitest';
import { guardNetwork } from './fakes/network-guard.ts';

/**
 * What fails a test file whatever its tests say: a promise that nobody awaited, an error that nobody caught, a warning of
 * Node's (leaked listeners above all), a connection to anything but this machine.
 */
const faults: string[] = [];

// The same cases for everybody who changes something; `npm run accept:properties` looks for new ones.
if (process.env['ENTREPOT_PROPERTIES'] !== 'random') fc.configureGlobal({ seed: 20_251_121 });

process.on('unhandledRejection', (reason) => faults.push(`unhandled rejection: ${describeFault(reason)}`));
process.on('uncaughtExceptionMonitor', (error) => faults.push(`uncaught exception: ${describeFault(error)}`));
process.on('warning', (warning) => faults.push(`warning: ${describeFault(warning)}`));
guardNetwork((target) => faults.push(`a connection to ${target}: tests stay on the loopback`));

afterAll(async () => {
  // Node reports rejections and warnings a turn after they happen.
  await new Promise((resolve) => setImmediate(resolve));
  const found = faults.splice(0);
  if (found.length > 0) throw new Error(found.join('\n'));
});

function describeFault(value: unknown): string {
  return value instanceof Error ? (value.stack ?? value.message) : String(value);
}
