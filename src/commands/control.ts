import type { Health, Reloaded } from '../admin/calls.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { CommandFault } from './fault.ts';
import type { LookFlags } from './look.ts';
import { readPlace, socketPath } from './settings.ts';
import { callServer, NoServerError } from './socket-client.ts';
import { printJson } from './table.ts';
import { noServer, noteWrongFile } from './with-admin.ts';

/** Exit 0 once the new configuration is in force, 1 with what is wrong with it. */
export async function reload(context: CommandContext, flags: LookFlags): Promise<ExitCode> {
  const { config, restart } = (await callRunning(context, flags, 'reload')) as Reloaded;
  const waiting = restart.length === 0 ? '' : `; these wait for a restart: ${restart.join(', ')}`;
  context.terminal.out(flags.json === true ? printJson({ config, restart }, 2) : `reloaded ${config}${waiting}\n`);
  return 0;
}

/** Exit 0 where pulls are answered, degraded or not; the container's health check. */
export async function health(context: CommandContext, flags: LookFlags): Promise<ExitCode> {
  const found = (await callRunning(context, flags, 'health')) as Health;
  const degraded = found.degraded.length === 0 ? '' : `, degraded: ${found.degraded.join(', ')}`;
  context.terminal.out(
    flags.json === true ? printJson(found, 2) : `${found.ready ? 'ready' : (found.reason ?? 'not ready')}${degraded}\n`,
  );
  if (found.ready) return 0;
  throw new CommandFault(`the server is not ready (${found.reason ?? 'no reason given'}): see its log`);
}

async function callRunning(context: CommandContext, flags: LookFlags, call: 'reload' | 'health'): Promise<unknown> {
  const place = await readPlace(context, flags.config);
  try {
    const answer = await callServer(socketPath(place), call, {});
    noteWrongFile(context, place);
    return answer;
  } catch (error) {
    throw error instanceof NoServerError ? noServer(place) : error;
  }
}
