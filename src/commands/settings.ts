import { posix } from 'node:path';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { Disk } from '../system/disk.ts';
import type { CommandContext } from './context.ts';

/** The configuration that this command line and environment mean. Rejects with ConfigError. */
export function readConfig(context: CommandContext, argument: string | undefined): Promise<Config> {
  const { env, directory, disk } = context;
  return loadConfig({ argument, env, directory, readFile: (path, bytesMax) => readText(disk, path, bytesMax) });
}

/** At most one byte more than `bytesMax`, so that the caller sees that there is more. */
export async function readText(disk: Disk, path: string, bytesMax: number): Promise<string | undefined> {
  const file = await disk.open(path, 'read');
  if (file === undefined) return undefined;
  try {
    const bytes = new Uint8Array(Math.min(await file.size(), bytesMax + 1));
    let at = 0;
    while (at < bytes.length) {
      const count = await file.read(bytes.subarray(at), at);
      if (count === 0) break;
      at += count;
    }
    return new TextDecoder().decode(bytes.subarray(0, at));
  } finally {
    await file.close();
  }
}

/** Where a running server listens for commands. */
export function socketPath(config: Config): string {
  return posix.join(config.storage.rootdirectory, 'entrepot.sock');
}
