// A test runner that stays, for the tree that is its working directory: it starts, and reads and transforms each file, once, and not
// once for each mutant. Each message asks for a run (`Asked` in runner.ts) and is answered with a verdict, one after the other. Each run
// has processes of its own: what one mutant did to its process is gone before the next.
import { createVitest } from 'vitest/node';

const vitest = await createVitest('test', { watch: false, bail: 1, cache: false, reporters: [{}] });

process.on('message', (asked) => void run(asked).then((verdict) => process.send(verdict)));

async function run({ test, testName, changed, msMax }) {
  vitest.invalidateFile(changed);
  // A test that waits for what never comes fails, and says which it is, before its run has hung.
  for (const { config } of vitest.projects) config.testTimeout = config.hookTimeout = msMax / 4;
  vitest.setGlobalTestNamePattern(testName ?? '');
  // Else what ran before counts as a part of this run.
  vitest.state.filesMap.clear();
  vitest.state.idMap.clear();
  const start = performance.now();
  const result = await vitest.runTestSpecifications(await vitest.globTestSpecifications(test));
  // It is put back before the next run.
  vitest.invalidateFile(changed);
  return verdictOf(result, performance.now() - start);
}

function verdictOf({ testModules, unhandledErrors }, ms) {
  const tests = testModules.flatMap(({ children }) => [...children.allTests()]);
  const failed = tests.find((test) => test.result().state === 'failed');
  if (failed !== undefined) return { kind: 'failed', by: failed.fullName };
  // Hooks fail a file in which every test has passed: that is where leaks and lost rejections show.
  const suites = testModules.flatMap((module) => [module, ...module.children.allSuites()]);
  const [error] = [...suites.flatMap((suite) => suite.errors()), ...unhandledErrors];
  const passed = tests.filter((test) => test.result().state === 'passed').length;
  if (passed === 0) return { kind: 'broken', why: error?.message ?? 'no test ran' };
  return error === undefined ? { kind: 'passed', tests: passed, ms } : { kind: 'failed', by: error.message };
}
