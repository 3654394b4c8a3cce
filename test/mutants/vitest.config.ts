import { defineConfig } from 'vitest/config';

/** `npm run mutants`, `npm run mutants -- -t oci:`. One after the other: each runs a test runner of its own. */
// oxlint-disable-next-line import/no-default-export -- the runner reads it so
export default defineConfig({
  test: {
    include: ['test/mutants/mutants.test.ts'],
    testTimeout: 400_000,
    hookTimeout: 120_000,
    retry: 0,
    fileParallelism: false,
  },
});
