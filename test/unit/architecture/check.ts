import { posix } from 'node:path';
import { importsOf, lineOf, type Import, type Source } from './source.ts';
import { ANYBODYS, EMPTY_NAMES, EXCEPTIONS, MAY_IMPORT, NONDETERMINISM, OCI_MAY_USE, OWNERS } from './table.ts';

/** Every breach of the architecture's rules in a file, one line each: `src/pull/x.ts:3 imports …`. */
export function breachesOf(source: Source): string[] {
  return [...nameBreaches(source), ...importBreaches(source), ...useBreaches(source), ...formBreaches(source)];
}

/** `pull` of `pull/fill.ts`; a file beside the folders is its own. */
function folderOf(path: string): string {
  return path.split('/')[0] ?? path;
}

function nameBreaches({ path }: Source): string[] {
  const empty = path.split(/[/.-]/).find((word) => EMPTY_NAMES.has(word.toLowerCase()));
  return empty === undefined ? [] : [`src/${path}:1 is named "${empty}", which says nothing of what is in it`];
}

function importBreaches(source: Source): string[] {
  const folder = folderOf(source.path);
  const allowed = MAY_IMPORT[folder];
  if (allowed === undefined) return [`src/${source.path}:1 is in ${folder}, which the import table does not know`];
  return importsOf(source).flatMap((one) => {
    const isAllowed = one.specifier.startsWith('.') ? mayImport(source, one, allowed) : mayUse(source, one);
    const what = one.specifier.startsWith('.') ? targetOf(source, one) : one.specifier;
    return isAllowed ? [] : [`src/${source.path}:${one.line} imports ${what}, which ${folder} may not`];
  });
}

/** Below `src/`. */
function targetOf({ path }: Source, { specifier }: Import): string {
  return posix.join(posix.dirname(path), specifier);
}

function mayImport(source: Source, one: Import, allowed: readonly string[] | 'everything'): boolean {
  const target = targetOf(source, one);
  if (target.startsWith('..')) return false;
  return allowed === 'everything' || folderOf(target) === folderOf(source.path) || isListed(target, allowed);
}

function mayUse({ path }: Source, { specifier }: Import): boolean {
  if (folderOf(path) === 'oci') return OCI_MAY_USE.includes(specifier);
  return ANYBODYS.includes(specifier) || isListed(path, OWNERS[libraryOf(specifier)] ?? []);
}

/** `hono` of `hono/utils/x`, `@a/b` of `@a/b/c`; Node's own as they are. */
function libraryOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/** Entries are files (with their `.ts`) or folders. */
function isListed(path: string, entries: readonly string[]): boolean {
  return entries.some((entry) => path === entry || path.startsWith(`${entry}/`));
}

function useBreaches({ path, code }: Source): string[] {
  if (folderOf(path) === 'system') return [];
  return Object.entries(NONDETERMINISM).flatMap(([what, pattern]) => {
    if (EXCEPTIONS.some((exception) => exception.file === path && exception.what === what)) return [];
    return linesOf(code, pattern).map((line) => `src/${path}:${line} uses ${what}, which only system may`);
  });
}

const EMPTY_CATCH = /\bcatch\s*(?:\([^()]*\)\s*)?\{\s*\}/g;
const EMPTY_HANDLER = /\.catch\(\s*\(\s*\w*\s*\)\s*=>\s*\{\s*\}\s*\)/g;

function formBreaches({ path, text, code }: Source): string[] {
  const say = (pattern: RegExp, what: string): string[] => linesOf(code, pattern).map((line) => `src/${path}:${line} ${what}`);
  const isCode = ({ index }: RegExpExecArray): boolean => code.slice(index, index + 6).trim() !== '';
  // Looked for in the text, so that a comment which says why is something.
  const catches = [...text.matchAll(EMPTY_CATCH)].filter(isCode);
  const handlers = [...text.matchAll(EMPTY_HANDLER)].filter((match) => isCode(match) && !isExplained(text, match.index));
  return [
    ...say(/\bconsole\s*\.\s*\w/g, 'writes to the console; the log is observe/log.ts'),
    ...say(/\bexport\s+default\b|\bas\s+default\b/g, 'has a default export'),
    ...[...catches, ...handlers].map(({ index }) => `src/${path}:${lineOf(text, index)} catches and says nothing`),
  ];
}

/** A comment stands behind it, or in the line before. */
function isExplained(text: string, at: number): boolean {
  const line = lineOf(text, at);
  const [before = '', own = ''] = ['', ...text.split('\n')].slice(line - 1, line + 1);
  return own.includes(' // ') || /^\s*(?:\/\/|\*)/.test(before);
}

function linesOf(code: string, pattern: RegExp): number[] {
  return [...code.matchAll(pattern)].map(({ index }) => lineOf(code, index));
}
