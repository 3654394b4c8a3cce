import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configJsonSchema, type JsonSchema } from '../../../src/config/json-schema.ts';
import { load } from './load.ts';

const SAMPLES = ['fixtures/config/mirror-2.yml', 'fixtures/config/mirror-3.yml', '../config.yml'].map(
  (name) => [name, readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')] as const,
);

/** Enough of JSON Schema 2020-12 for the keywords that ours uses; yields the paths that do not fit. */
function misfits(node: JsonSchema | boolean, value: unknown, path = ''): string[] {
  if (typeof node === 'boolean') return node ? [] : [path];
  if (node.anyOf !== undefined && node.anyOf.every((branch) => misfits(branch, value, path).length > 0)) return [path];
  if (node.enum !== undefined && !node.enum.includes(value)) return [path];
  if (
    node.type !== undefined &&
    ![node.type].flat().includes(typeOf(value)) &&
    !(typeOf(value) === 'integer' && [node.type].flat().includes('number'))
  )
    return [path];
  if (Array.isArray(value)) return value.flatMap((item, index) => misfits(node.items ?? true, item, `${path}[${index}]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const patterns = Object.entries(node.patternProperties ?? {}).filter(([pattern]) => new RegExp(pattern).test(key));
    const known = node.properties?.[key] ?? patterns[0]?.[1] ?? node.additionalProperties ?? true;
    return misfits(known, item, `${path}.${key}`);
  });
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

describe('the JSON Schema for editors', () => {
  const schema = JSON.parse(JSON.stringify(configJsonSchema())) as JsonSchema;

  test.each(SAMPLES)('%s loads, and fits it', async (_, text) => {
    await expect(load(text)).resolves.toBeDefined();
    expect(misfits(schema, parse(text, { merge: true }))).toEqual([]);
  });

  test.each([
    ['http: { adr: x }', ['.http.adr']],
    ['log: { accesslog: { disabled: maybe } }', ['.log.accesslog.disabled']],
    ['routes: [{ match: a, nonsense: 1 }]', ['.routes[0].nonsense']],
    ['log: { level: loud }', ['.log.level']],
    ['metadata: { path: x, y: z }', ['.metadata']],
    ['upstreams: { a: { concurrency: many } }', ['.upstreams.a.concurrency']],
  ])('%s does not', (text, paths) => {
    expect(misfits(schema, parse(text))).toEqual(paths);
  });

  test.each([
    'x-notes: [1]',
    'metadata: redis',
    'metadata: { path: x }',
    'routes: [{ match: [a], upstreams: origin }]',
    'http:',
  ])('%s does', (text) => {
    expect(misfits(schema, parse(text))).toEqual([]);
  });

  test("it tells each key's description and default, and holds none of our own marks", () => {
    const addr = schema.properties?.['http']?.properties?.['addr'];
    expect(addr).toMatchObject({ type: 'string', default: ':5000' });
    expect(addr?.description).toMatch(/^Where to listen/);
    expect(JSON.stringify(schema)).not.toMatch(/"(form|words|sensitive)":/);
  });
});
