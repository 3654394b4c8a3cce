#!/usr/bin/env node
import { run } from './commands/program.ts';
import { systemContext } from './commands/system-context.ts';

// Loaded where it is needed: who looks after workers, or asks a running server, has no use for the house.
const house = () => import('./compose.ts');
const store = () => import('./compose/open-store.ts');

process.exitCode = await run(
  process.argv.slice(2),
  systemContext({
    startServer: async (...given) => (await house()).startServer(...given),
    openStore: async (...given) => (await store()).openStore(...given),
    async *restoreStore(...given) {
      yield* (await store()).restoreStore(...given);
    },
    proveUpstreams: async (...given) => (await store()).proveUpstreams(...given),
  }),
);
