import { z } from 'zod';
import { harmlessKeys } from './official.ts';
import { schema } from './schema.ts';

/** The part of JSON Schema (2020-12) that we write. */
export interface JsonSchema {
  readonly $schema?: string;
  readonly title?: string;
  type?: string | readonly string[];
  description?: string;
  default?: unknown;
  deprecated?: boolean;
  properties?: Record<string, JsonSchema>;
  patternProperties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  propertyNames?: JsonSchema;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  enum?: readonly unknown[];
  pattern?: string;
  required?: string[];
  /** Our own: which of `forms.ts` it is. */
  form?: string;
  words?: readonly string[];
}

/** The schema of what one writes, for editors (`# yaml-language-server: $schema=…`) and `entrepot check --schema`. */
export function configJsonSchema(): JsonSchema {
  const tree = structuredClone(describedSchema());
  allowMore(tree);
  for (const key of harmlessKeys) addHarmless(tree, key);
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Entrepot configuration', ...withoutMarks(tree) };
}

let described: JsonSchema | undefined;

/** The same with our own marks on it, for those who read keys, kinds and defaults; not to be changed. */
export function describedSchema(): JsonSchema {
  described ??= z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
    override: ({ jsonSchema }) => shapeForm(jsonSchema as JsonSchema),
  }) as JsonSchema;
  return described;
}

/** The YAML types that each form may be written in. */
function shapeForm(node: JsonSchema): void {
  if (node.form === 'flag')
    Object.assign(
      node,
      { type: 'boolean' },
      asWritten(node, (text) => text === 'true'),
    );
  if (node.form === 'count') Object.assign(node, { type: 'integer' }, asWritten(node, Number));
  if (node.form === 'count or auto') Object.assign(node, { type: ['integer', 'string'] }, asWritten(node, Number));
  if (node.form === 'rate') node.type = ['string', 'number'];
  if (node.form === 'text' || node.form === 'secret') node.type = ['string', 'number', 'boolean'];
  if (node.form === 'word' && node.words !== undefined) {
    delete node.type;
    node.enum = node.words.flatMap((word) => (Number.isNaN(Number(word)) ? [word] : [Number(word), word]));
  }
  if (node.form === 'metadata') shapeMetadata(node);
}

function asWritten(node: JsonSchema, read: (text: string) => unknown): { default?: unknown } {
  return typeof node.default === 'string' ? { default: read(node.default) } : {};
}

function isEmptyDefault(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

/** `lmdb`, `redis`, or a section with a path: the schema itself sees only what these become. */
function shapeMetadata(node: JsonSchema): void {
  const path = { type: 'string', form: 'path', description: 'Puts the embedded store elsewhere than in `rootdirectory`.' };
  delete (node as { oneOf?: unknown }).oneOf;
  node.anyOf = [{ enum: ['lmdb', 'redis'] }, { type: 'object', properties: { path }, additionalProperties: false }];
}

/** In every section: keys that begin `x-`, and YAML's merge key; a single value where a list of one is meant; nothing for a section. */
function allowMore(node: JsonSchema): void {
  for (const child of childrenOf(node)) allowMore(child);
  if (node.properties !== undefined) node.patternProperties = { '^x-': {}, '^<<$': {} };
  if (node.type === 'object') node.type = ['object', 'null'];
  if (node.form === 'list' && node.items !== undefined) {
    node.anyOf = [node.items, { type: 'array', items: node.items }];
    delete node.type;
    delete node.items;
  }
}

function addHarmless(tree: JsonSchema, key: string): void {
  const names = key.split('.');
  let node = tree;
  for (const name of names.slice(0, -1)) {
    node.properties ??= {};
    node = node.properties[name] ??= { type: ['object', 'null'], properties: {} };
  }
  const last = names.at(-1) ?? '';
  node.properties ??= {};
  node.properties[last] ??= { description: 'Accepted, and without effect here.', deprecated: true };
}

function withoutMarks(node: JsonSchema): JsonSchema {
  for (const child of childrenOf(node)) withoutMarks(child);
  if (isEmptyDefault(node.default)) delete node.default;
  delete node.form;
  delete node.words;
  return node;
}

function childrenOf(node: JsonSchema): JsonSchema[] {
  const more = typeof node.additionalProperties === 'object' ? [node.additionalProperties] : [];
  return [
    ...Object.values(node.properties ?? {}),
    ...more,
    ...(node.items === undefined ? [] : [node.items]),
    ...(node.anyOf ?? []),
  ];
}
