import { describedSchema, type JsonSchema } from './json-schema.ts';

/** README's table of every option, as Markdown, from the schema; without an end of line. */
export function optionsTable(): string {
  const rows = rowsOf(describedSchema(), '').map((cells) => `| ${cells.map(escape).join(' | ')} |`);
  return ['| key | type | default | |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

type Cells = readonly [key: string, type: string, byDefault: string, description: string];

function rowsOf(node: JsonSchema, key: string): Cells[] {
  if (node.properties !== undefined && node.form !== 'metadata') {
    return Object.entries(node.properties).flatMap(([name, child]) => rowsOf(child, key === '' ? name : `${key}.${name}`));
  }
  const [below, suffix] = elementOf(node);
  const description = node.description ?? '';
  if (below?.properties === undefined) return [[`\`${key}\``, typeOf(node), defaultOf(node), description]];
  const own: Cells[] = description === '' ? [] : [[`\`${key}\``, suffix === '[]' ? 'list' : 'map', '', description]];
  return [...own, ...rowsOf(below, `${key}${suffix}`)];
}

/** What a list or a map holds, and how that is written in a key. */
function elementOf(node: JsonSchema): [JsonSchema | undefined, string] {
  if (node.items !== undefined) return [node.items, '[]'];
  return typeof node.additionalProperties === 'object' ? [node.additionalProperties, '.NAME'] : [undefined, ''];
}

function typeOf(node: JsonSchema): string {
  const [below, suffix] = elementOf(node);
  if (below !== undefined) return `${suffix === '[]' ? 'list' : 'map'} of ${typeOf(below)}`;
  if (node.form === 'metadata') return '`lmdb`, `redis` or `{path}`';
  if (node.form === 'word') return (node.words ?? []).map((word) => `\`${word}\``).join(', ');
  return node.form ?? 'anything';
}

function defaultOf({ default: value }: JsonSchema): string {
  // What is empty unless written has no default to tell of.
  if (value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)) return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function escape(cell: string): string {
  return cell.replaceAll('|', '\\|');
}
