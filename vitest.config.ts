import { defineConfig } from 'vitest/config';

const everywhere = {
  exclude: ['test/mutants/**', 'test/bench/**', ...(process.env['ENTREPOT_LONG'] === '1' ? [] : ['test/**/*.long.test.ts'])],
  // Processes: tests count descriptors and memory, and load native code that does not like threads.
  pool: 'forks' as const,
  setupFiles: ['test/setup.ts'],
  // What takes seconds on a machine of its own takes longer beside others; what hangs, hangs.
  testTimeout: 60_000,
  hookTimeout: 60_000,
  teardownTimeout: 10_000,
  // A test that passes only the second time does not pass.
  retry: 0,
  restoreMocks: true,
  unstubEnvs: true,
};

/**
 * Many files share a process, and what it has loaded: one of its own costs each of the others half a second of a core, and one that loads
 * the house a whole one. They leave nothing behind, which the second file sees to.
 */
const sharing = { ...everywhere, isolate: false, setupFiles: [...everywhere.setupFiles, 'test/shared-process.ts'] };

/** At their whole sizes (`npm run accept:…`) files take the machine for themselves. */
const together = (count: number): number => (process.env['ENTREPOT_ACCEPT'] === 'full' ? 1 : count);

/** What starts the built program as processes. */
const starting = { globalSetup: ['test/bundled-program.ts'] };

/** What asserts how long something took, or how much memory it left. */
const measuring = ['leaks', 'slow-readers', 'fuzz-requests', 'redis-pulls', 'metadata-redis'].map(
  (name) => `test/faults/${name}.test.ts`,
);

/**
 * `ENTREPOT_LONG=1` adds the long runs (`*.long.test.ts`). Mutants and benchmarks have commands of their own: each runs the
 * suite, or the machine, for itself.
 *
 * As many files at once as there are cores where tests compute, one more where they wait for processes, sockets and disks. Those that
 * measure have the cores for themselves: what they bound leaves room for one beside them, and not for all.
 */
export default defineConfig({
  test: {
    globalSetup: ['test/memory-directory.ts'],
    projects: [
      {
        test: {
          ...sharing,
          name: 'rooms',
          include: ['test/{unit,statements,conformance}/**/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...everywhere,
          name: 'apart',
          include: ['test/{properties,sim,fuzz}/**/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...sharing,
          ...starting,
          name: 'houses',
          include: ['test/{scenarios,faults,clients}/**/*.test.ts'],
          exclude: [...everywhere.exclude, ...measuring],
          // What a server that has ended leaves in its process are timers that keep no process alive.
          env: { ENTREPOT_TIMERS: 'left' },
          maxWorkers: together(3),
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...everywhere,
          ...starting,
          name: 'measures',
          include: measuring,
          maxWorkers: together(2),
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
