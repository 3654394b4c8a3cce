import { defineConfig } from 'vitest/config';

/**
 * `ENTREPOT_LONG=1` adds the long runs (`*.long.test.ts`). Mutants and benchmarks have commands of their own: each runs the
 * suite, or the machine, for itself.
 */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/mutants/**', 'test/bench/**', ...(process.env['ENTREPOT_LONG'] === '1' ? [] : ['test/**/*.long.test.ts'])],
    // A process for each file: tests count descriptors and memory, and load native code that does not like threads.
    pool: 'forks',
    setupFiles: ['test/setup.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    // A test that passes only the second time does not pass.
    retry: 0,
    restoreMocks: true,
    unstubEnvs: true,
  },
});
