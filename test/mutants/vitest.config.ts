import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** `npm run mutants`, `npm run mutants -- -t oci:`, `ENTREPOT_MUTANTS_PART=2/4 npm run mutants`. */
// oxlint-disable-next-line import/no-default-export -- the runner reads it so
export default defineConfig({
  test: {
    include: ['test/mutants/mutants.test.ts'],
    // Each run has a limit of its own; they wait for one another.
    testTimeout: 3_600_000,
    // More than are judged at once: some wait until their tests have run without an edit.
    maxConcurrency: 2 * availableParallelism() + 2,
    hookTimeout: 120_000,
    retry: 0,
    fileParallelism: false,
  },
});
