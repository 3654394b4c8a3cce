import { dirname, relative } from 'node:path';
import type { Config } from './config.ts';
import { applyEnvironment } from './env.ts';
import { ConfigError, type Fault } from './fault.ts';
import { candidates } from './find.ts';
import { fingerprint } from './watch.ts';
import { shownConfig } from './shown.ts';
import { interpolate } from './interpolate.ts';
import { later } from './later.ts';
import { official } from './official.ts';
import { settle } from './settle.ts';
import { Settling, type ReadFile } from './settling.ts';
import { asSection, dropNotes, respell } from './spelling.ts';
import { FILE_BYTES_MAX, parseTree, type Section } from './tree.ts';
import { sectionOf } from './tree-path.ts';
import { validate } from './validate.ts';
import { judge } from './verdict.ts';

export interface LoadOptions {
  /** CONFIG of the command line, if given. */
  readonly argument?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working directory, absolute. */
  readonly directory: string;
  /**
   * The text of a file (UTF-8), of which no more than a little over `bytesMax` need be read; `undefined` when there is
   * none. Rejects, with Node's `code`, when it cannot be read.
   */
  readonly readFile: ReadFile;
}

/** Served when nothing at all is said: for this machine only. */
const UNCONFIGURED = `
http: { addr: 127.0.0.1:5000, debug: { addr: 127.0.0.1:5001 } }
storage: { filesystem: { rootdirectory: ./data } }
routes: [{ match: well-known, upstreams: [origin] }]
`;

const WHAT_TO_SET =
  'there is no configuration: the well-known public registries are served, on 127.0.0.1 only; write ./config.yml or ' +
  '/etc/entrepot/config.yml, name a file on the command line or in ENTREPOT_CONFIG, or set REGISTRY_PROXY_REMOTEURL';

/**
 * Finds, reads and understands the configuration: file, then environment, then defaults. Rejects with ConfigError, which
 * holds every fault and where it stands, and with nothing else, whatever the file and the environment hold.
 */
export async function loadConfig(options: LoadOptions): Promise<Config> {
  const found = await readFirst(options);
  const shown = found === undefined ? 'environment' : shownPath(found.path, options.directory);
  const tree = asRoot(found === undefined ? '' : found.text, shown);
  const faults: Fault[] = interpolate(tree, options.env);
  const overrides = applyEnvironment(tree, options.env);
  // An editor that empties the file before it writes it would otherwise make a plain registry of a mirror for a moment.
  if (found?.text.trim() === '' && overrides.applied === 0)
    throw new ConfigError([
      { file: found.path, line: 1, column: 1, key: '', expected: 'expected a configuration: it is empty' },
    ]);
  if (found === undefined && overrides.applied === 0) return unconfigured(options, overrides.warnings);
  const spelling = respell(tree);
  const verdicts = judge(tree, [...official, ...later]);
  dropNotes(tree);
  const work = new Settling(tree, found === undefined ? options.directory : dirname(found.path), options.readFile);
  if (found !== undefined) work.watched.set(found.path, fingerprint(found.text));
  const config = await understand(tree, work, [...faults, ...overrides.faults, ...verdicts.faults], found?.path);
  return {
    ...config,
    warnings: [...overrides.warnings, ...spelling, ...verdicts.warnings, ...work.warnings],
    watched: work.watched,
    shown: () => shownConfig(tree),
  };
}

type Understood = Omit<Config, 'warnings' | 'watched' | 'shown'>;

/** Chains and files are looked at only once all keys are right. */
async function understand(
  tree: Section,
  work: Settling,
  faults: readonly Fault[],
  file: string | undefined,
): Promise<Understood> {
  const validated = validate(tree);
  const found = [...faults, ...('faults' in validated ? validated.faults : [])];
  if (found.length > 0 || !('written' in validated)) throw new ConfigError(inOrder(found));
  const config = await settle(validated.written, work, file);
  if (work.faults.length > 0) throw new ConfigError(inOrder(work.faults));
  return config;
}

/** As in the file; of several faults of one value the first says enough. */
function inOrder(faults: readonly Fault[]): Fault[] {
  const first = new Map(
    faults.toReversed().map((fault) => [`${fault.file}:${fault.line}:${fault.column}:${fault.key}`, fault]),
  );
  return faults
    .filter((fault) => fault.line === 0 || [...first.values()].includes(fault))
    .toSorted((left, right) => left.line - right.line || left.column - right.column);
}

async function unconfigured(options: LoadOptions, warnings: readonly string[]): Promise<Config> {
  const tree = asRoot(UNCONFIGURED, 'built in');
  const config = await understand(tree, new Settling(tree, options.directory, options.readFile), [], undefined);
  return {
    ...config,
    mode: 'unconfigured',
    warnings: [...warnings, WHAT_TO_SET],
    watched: new Map(),
    shown: () => shownConfig(tree),
  };
}

function asRoot(text: string, shown: string): Section {
  const root = asSection(parseTree(text, shown));
  if ('expected' in root) throw new ConfigError([root]);
  return root.entries.size === 0 ? sectionOf(root.at) : root;
}

/** As the user would name it: within the working directory without its path. */
function shownPath(path: string, directory: string): string {
  const within = relative(directory, path);
  return within.startsWith('..') ? path : within;
}

/** The first file that there is; rejects with ConfigError when the one that was named cannot be read. */
export async function readFirst(options: LoadOptions): Promise<{ readonly path: string; readonly text: string } | undefined> {
  const { paths, named, by } = candidates(options);
  for (const path of paths) {
    const text = await readConfigFile(path, options);
    if (text !== undefined) return { path, text };
  }
  if (!named) return undefined;
  const [path = ''] = paths;
  throw new ConfigError([
    { file: path, line: 0, column: 0, key: '', expected: `there is no such file, though ${by} names it` },
  ]);
}

async function readConfigFile(path: string, { readFile }: LoadOptions): Promise<string | undefined> {
  try {
    return await readFile(path, FILE_BYTES_MAX);
  } catch (error) {
    const code = (error as { code?: unknown } | undefined)?.code;
    const expected =
      (typeof code === 'string' && UNREADABLE[code]) || `cannot be read${typeof code === 'string' ? ` (${code})` : ''}`;
    throw new ConfigError([{ file: path, line: 0, column: 0, key: '', expected }], { cause: error });
  }
}

const UNREADABLE: Readonly<Record<string, string>> = {
  EISDIR: 'is a directory: name the file in it',
  EACCES: 'may not be read by this user',
};
