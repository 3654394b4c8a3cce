#!/usr/bin/env node
import { openStore, proveUpstreams, restoreStore, startServer } from './compose.ts';
import { run } from './commands/program.ts';
import { systemContext } from './commands/system-context.ts';

process.exitCode = await run(process.argv.slice(2), systemContext({ startServer, openStore, restoreStore, proveUpstreams }));
