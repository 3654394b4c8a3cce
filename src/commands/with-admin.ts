import type { Admin } from '../admin/admin.ts';
import type { Config } from '../config/config.ts';
import type { CommandContext } from './context.ts';
import { CommandFault } from './fault.ts';
import { remoteAdmin } from './remote-admin.ts';
import { socketPath } from './settings.ts';
import { callServer, NoServerError } from './socket-client.ts';

/** Does `work` with the running server, or with the store itself when no server runs (contract, "Install and run"). */
export async function withAdmin<T>(context: CommandContext, config: Config, work: (admin: Admin) => Promise<T>): Promise<T> {
  if (await isRunning(config)) return work(remoteAdmin(socketPath(config)));
  const { rootdirectory } = config.storage;
  // Files that root makes in a store, LMDB's lock among them, would stop the service at its next start.
  if (!context.actAsOwner(rootdirectory)) throw new CommandFault(`nothing is held: there is no ${rootdirectory}`);
  const store = await context.openStore(config);
  try {
    return await work(store.admin);
  } finally {
    await store.close();
  }
}

/** The running server; a fault that says what to do when none runs. */
export async function runningServer(config: Config): Promise<Admin> {
  if (await isRunning(config)) return remoteAdmin(socketPath(config));
  throw new CommandFault(noServer(config));
}

export function noServer(config: Config): string {
  return `no server runs with ${config.storage.rootdirectory}: start it with "entrepot serve", or name its configuration with --config`;
}

async function isRunning(config: Config): Promise<boolean> {
  try {
    await callServer(socketPath(config), 'health', {});
    return true;
  } catch (error) {
    if (error instanceof NoServerError) return false;
    throw error;
  }
}
