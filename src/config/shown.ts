import { describedSchema, type JsonSchema } from './json-schema.ts';
import { HIDDEN } from './secret.ts';
import { plain } from './tree-path.ts';
import type { Tree } from './tree.ts';

/**
 * Kinds of value that may be shown. A list of what may, not of what may not (reliability.md, S49): a kind that somebody
 * adds is hidden until it is written here.
 */
const PUBLIC = new Set([
  'text',
  'path',
  'flag',
  'count',
  'count or auto',
  'duration',
  'duration or forever',
  'address',
  'host:port',
  'URL',
  'registry',
  'registry or *',
  'subject',
  'algorithm',
  'repository path',
  'network',
  'host',
  'host or network',
  'word',
  'pattern',
  'tag pattern',
  'pin pattern',
  'platform',
  'rate',
  'instant',
  'digest',
  'bandwidth',
  'size',
  'percentage',
  'regular expression',
  'cipher suite',
  'metadata',
  'field',
  'helper',
  'region',
  'id',
]);

/** What is written, with defaults in and every secret hidden; keys that the schema does not hold are left out. */
export function shownConfig(tree: Tree): unknown {
  return show(describedSchema(), plain(tree));
}

function show(node: JsonSchema, value: unknown): unknown {
  if (node.form === 'metadata') return value ?? node.default;
  if (node.properties !== undefined)
    return value === undefined && node.default === undefined ? undefined : showSection(node.properties, value);
  if (typeof node.additionalProperties === 'object') return showMap(node.additionalProperties, value);
  if (node.items !== undefined) return showList(node.items, value ?? node.default);
  const written = value ?? node.default;
  if (written === undefined) return undefined;
  return PUBLIC.has(node.form ?? '') ? written : HIDDEN;
}

function showSection(properties: Readonly<Record<string, JsonSchema>>, value: unknown): unknown {
  const shown = Object.entries(properties).map(([key, child]) => [key, show(child, isRecord(value) ? value[key] : undefined)]);
  const told = shown.filter(([, part]) => part !== undefined);
  return told.length === 0 ? undefined : Object.fromEntries(told);
}

function showMap(node: JsonSchema, value: unknown): unknown {
  if (!isRecord(value) || Object.keys(value).length === 0) return undefined;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, show(node, part) ?? {}]));
}

function showList(node: JsonSchema, value: unknown): unknown {
  const items = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(items) || items.length === 0) return undefined;
  return items.map((item) => show(node, item));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
