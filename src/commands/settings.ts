import { posix } from 'node:path';
import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/fault.ts';
import { loadConfig, type LoadOptions } from '../config/load.ts';
import { findRootDirectory } from '../config/root-directory.ts';
import type { Disk } from '../system/disk.ts';
import type { CommandContext } from './context.ts';

/** The configuration that this command line and environment mean. Rejects with ConfigError. */
export async function readConfig(context: CommandContext, argument: string | undefined): Promise<Config> {
  const options = loadOptions(context, argument);
  const files = new Map<string, FileRead>();
  const config = await loadConfig({
    ...options,
    async readFile(path, bytesMax) {
      try {
        const text = await options.readFile(path, bytesMax);
        files.set(path, { text });
        return text;
      } catch (error) {
        files.set(path, { code: error instanceof Error && 'code' in error ? String(error.code) : 'EIO' });
        throw error;
      }
    },
  });
  READ.set(config, files);
  return config;
}

/** What a file held as it was read, `undefined` where there was none; or why it could not be read. */
export type FileRead = { readonly text: string | undefined } | { readonly code: string };

/** By path. Secrets are among them, and therefore they stand nowhere but here. */
const READ = new WeakMap<Config, ReadonlyMap<string, FileRead>>();

/** What a configuration was read from. */
export function filesOf(config: Config): ReadonlyMap<string, FileRead> {
  return READ.get(config) ?? new Map();
}

/** The same configuration again, in another process, whatever has become of the files. */
export function readConfigFrom(
  context: CommandContext,
  argument: string | undefined,
  files: ReadonlyMap<string, FileRead>,
): Promise<Config> {
  return loadConfig({
    ...loadOptions(context, argument),
    async readFile(path) {
      const read = files.get(path);
      if (read !== undefined && 'code' in read) throw Object.assign(new Error(read.code), { code: read.code });
      return read?.text;
    },
  });
}

function loadOptions({ env, directory, disk }: CommandContext, argument: string | undefined): LoadOptions {
  return { argument, env, directory, readFile: (path, bytesMax) => readText(disk, path, bytesMax) };
}

/** Where a server runs, or would run, as the configuration says. */
export interface Place {
  readonly rootdirectory: string;
  /** Or what is wrong with it: a server that runs goes on with the one before. */
  readonly config: Config | ConfigError;
}

/** The image's, where a file says nothing that can be understood. */
const USUAL_ROOT = '/var/lib/registry';

/** For commands that ask a running server, which does not mind that its file has become wrong. */
export async function readPlace(context: CommandContext, argument: string | undefined): Promise<Place> {
  const config = await readConfig(context, argument).catch((error: unknown) => {
    if (error instanceof ConfigError) return error;
    throw error;
  });
  if (!(config instanceof ConfigError)) return { rootdirectory: config.storage.rootdirectory, config };
  return { rootdirectory: (await findRootDirectory(loadOptions(context, argument))) ?? USUAL_ROOT, config };
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
export function socketPath({ rootdirectory }: Place): string {
  return posix.join(rootdirectory, 'entrepot.sock');
}
