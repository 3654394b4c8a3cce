import type { z } from 'zod';
import type { Fault } from './fault.ts';
import { describedSchema, type JsonSchema } from './json-schema.ts';
import { later } from './later.ts';
import { nearest } from './nearest.ts';
import { official } from './official.ts';
import { schema, type Written } from './schema.ts';
import { faultAt, placeAt, plain, printPath, treeAt, writtenPath, type Path } from './tree-path.ts';
import type { Tree } from './tree.ts';

export type Validated = { readonly written: Written } | { readonly faults: readonly Fault[] };

/** Holds the tree to the schema; every fault at once, each where it stands. No value is ever quoted: it may be a secret. */
export function validate(tree: Tree): Validated {
  const result = schema.safeParse(plain(tree), { error: expectation });
  if (result.success) return { written: result.data };
  return { faults: result.error.issues.flatMap((issue) => faultsOf(issue, tree)) };
}

/** For issues whose schema says nothing better. */
function expectation(issue: z.core.$ZodRawIssue): string {
  if (issue.code !== 'invalid_type') return 'expected something else';
  if (issue.expected === 'array') return 'expected a list';
  return issue.expected === 'record' ? 'expected a section of names' : 'expected a section of keys';
}

function faultsOf(issue: z.core.$ZodIssue, tree: Tree): Fault[] {
  // The only union is `metadata`, told apart by a key that nobody writes.
  const path = writtenPath(tree, (issue.code === 'invalid_union' ? issue.path.slice(0, -1) : issue.path) as Path);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key], tree));
  if (issue.code === 'invalid_key') {
    return [faultAt(placeAt(tree, path, 'key'), path, issue.issues[0]?.message ?? 'expected another name')];
  }
  const missing = treeAt(tree, path) === undefined && treeAt(tree, path.slice(0, -1))?.kind === 'section';
  const params = issue.code === 'custom' ? (issue.params as { suggestion?: string } | undefined) : undefined;
  const message = missing ? `is missing: ${issue.message}` : issue.message;
  return [faultAt(placeAt(tree, path), path, message, params?.suggestion)];
}

function unknownKey(path: Path, tree: Tree): Fault {
  const siblings = keysAt(path.slice(0, -1));
  const name = String(path.at(-1));
  const suggestion = nearest(name, siblings) ?? elsewhere(name);
  return faultAt(placeAt(tree, path, 'key'), path, 'is not a key here', suggestion);
}

/** The keys that may stand in the section at `path`, those that are refused by name among them. */
function keysAt(path: Path): string[] {
  const node = path.reduce<JsonSchema | undefined>(step, describedSchema());
  const rows = [...official, ...later].map(({ key }) => key.split('.'));
  const below = rows.filter(
    (row) => row.length > path.length && path.every((part, index) => row[index] === '*' || row[index] === part),
  );
  return [...Object.keys(propertiesOf(node)), ...below.map((row) => row[path.length] ?? '').filter((name) => name !== '*')];
}

/** A key of that very name in another section, if there is just one. */
function elsewhere(name: string): string | undefined {
  const found = pathsOf(name, describedSchema(), []).concat(
    [...official, ...later].filter(({ key }) => key.split('.').at(-1) === name && !key.includes('*')).map(({ key }) => key),
  );
  return new Set(found).size === 1 ? found[0] : undefined;
}

function pathsOf(name: string, node: JsonSchema, path: Path): string[] {
  return Object.entries(propertiesOf(node)).flatMap(([key, child]) => [
    ...(key === name ? [printPath([...path, key])] : []),
    ...pathsOf(name, child, [...path, key]),
  ]);
}

function step(node: JsonSchema | undefined, part: string | number): JsonSchema | undefined {
  if (node === undefined || typeof part === 'number') return node?.items;
  const more = node.additionalProperties;
  return propertiesOf(node)[part] ?? (typeof more === 'object' ? more : undefined);
}

function propertiesOf(node: JsonSchema | undefined): Readonly<Record<string, JsonSchema>> {
  return node?.properties ?? node?.anyOf?.find(({ properties }) => properties !== undefined)?.properties ?? {};
}
