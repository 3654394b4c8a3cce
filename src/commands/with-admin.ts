import type { Admin } from '../admin/admin.ts';
import { ConfigError } from '../config/fault.ts';
import type { CommandContext } from './context.ts';
import { CommandFault } from './fault.ts';
import { remoteAdmin } from './remote-admin.ts';
import { socketPath, type Place } from './settings.ts';
import { callServer, NoServerError } from './socket-client.ts';

/** Does `work` with the running server, or with the store itself when no server runs (contract, "Install and run"). */
export async function withAdmin<T>(context: CommandContext, place: Place, work: (admin: Admin) => Promise<T>): Promise<T> {
  const running = await findRunning(context, place);
  if (running !== undefined) return work(running);
  const { rootdirectory, config } = place;
  if (config instanceof ConfigError) throw config;
  // Files that root makes in a store, LMDB's lock among them, would stop the service at its next start.
  if (!context.actAsOwner(rootdirectory)) throw new CommandFault(`nothing is held: there is no ${rootdirectory}`);
  const store = await context.openStore(config, context.version);
  try {
    return await work(store.admin);
  } finally {
    await store.close();
  }
}

/** The running server; a fault that says what to do when none runs. */
export async function runningServer(context: CommandContext, place: Place): Promise<Admin> {
  const running = await findRunning(context, place);
  if (running === undefined) throw noServer(place);
  return running;
}

/** Where the configuration is wrong, what is wrong with it says more than that nobody runs. */
export function noServer({ rootdirectory, config }: Place): Error {
  if (config instanceof ConfigError) return config;
  return new CommandFault(
    `no server runs with ${rootdirectory}: start it with "entrepot serve", or name its configuration with --config`,
  );
}

/** A server runs with what stood there before: the user should know that it is not what stands there now. */
export function noteWrongFile({ terminal }: CommandContext, { config }: Place): void {
  const [first] = config instanceof ConfigError ? config.message.split('\n') : [];
  if (first !== undefined) terminal.err(`note: the configuration before this one is in force: ${first}\n`);
}

async function findRunning(context: CommandContext, place: Place): Promise<Admin | undefined> {
  try {
    await callServer(socketPath(place), 'health', {});
  } catch (error) {
    if (error instanceof NoServerError) return undefined;
    throw error;
  }
  noteWrongFile(context, place);
  return remoteAdmin(socketPath(place));
}
