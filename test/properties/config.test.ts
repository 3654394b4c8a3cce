import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { describedSchema } from '../../src/config/json-schema.ts';
import { ConfigError } from '../../src/config/fault.ts';
import { checkPattern } from '../../src/config/pattern.ts';
import { parseDuration } from '../../src/config/units.ts';
import { load } from '../unit/config/load.ts';

/** Loads, and lets nothing out but a ConfigError whose every fault says where. */
async function survives(yaml: string | undefined, env: Record<string, string> = {}): Promise<void> {
  const outcome = await load(yaml, { env }).catch((error: unknown) => error);
  if (!(outcome instanceof Error)) return;
  expect(outcome).toBeInstanceOf(ConfigError);
  for (const fault of (outcome as ConfigError).faults) {
    expect(fault.expected).not.toBe('');
    expect(fault.file === 'environment' || fault.line > 0).toBe(true);
  }
}

const word = fc.constantFrom(
  'http',
  'addr',
  'routes',
  'match',
  'upstreams',
  'storage',
  'proxy',
  'remoteurl',
  'names',
  'log',
  'auth',
  'x-a',
  '<<',
  '*',
  '**',
  '${A}',
  '~',
  '__proto__',
  'constructor',
);
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 5 },
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    word,
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(word, fc.string()), tie('any'), { maxKeys: 5 }),
  ),
})).any;

describe('whatever is written', () => {
  test('any text ends in a Config or a ConfigError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => survives(text)),
      { numRuns: 300 },
    );
  });

  test("any lines of YAML's own letters", async () => {
    const letters = fc.string({ unit: fc.constantFrom(...Array.from('ab:-&*!|>{}[],"\'#%@`? \n\t$0.~<')), maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(letters, (text) => survives(text)),
      { numRuns: 500 },
    );
  });

  test('any value under any of our sections', async () => {
    const sections = fc.constantFrom(...Object.keys(describedSchema().properties ?? {}));
    await fc.assert(
      fc.asyncProperty(fc.dictionary(sections, value, { maxKeys: 4 }), (file) => survives(stringify(file))),
      { numRuns: 500 },
    );
  });

  test('any variable', async () => {
    const name = fc.array(
      fc.constantFrom(
        'HTTP',
        'ADDR',
        'ROUTES',
        '0',
        '1',
        'MATCH',
        'UPSTREAMS',
        'A',
        'URL',
        'AUTH',
        'METADATA',
        'PATH',
        'STORAGE',
        '',
      ),
      { maxLength: 4 },
    );
    const env = fc.dictionary(
      name.map((words) => `REGISTRY_${words.join('_')}`),
      fc.oneof(
        fc.string(),
        value.map((part) => JSON.stringify(part)),
      ),
      { maxKeys: 5 },
    );
    await fc.assert(
      fc.asyncProperty(env, (variables) => survives(undefined, variables)),
      { numRuns: 300 },
    );
  });
});

test('a duration is the sum of its parts', () => {
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
  const part = fc.tuple(fc.nat(999), fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])));
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      const sum = parts.reduce((total, [count, unit]) => total + count * units[unit], 0);
      expect(parseDuration(parts.map(([count, unit]) => `${count}${unit}`).join(''))).toBe(sum);
    }),
  );
});

test('what is suggested for a pattern is a pattern', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '/', '?', ':', '-'), maxLength: 12 });
  fc.assert(
    fc.property(text, (written) => {
      const suggestion = checkPattern(written)?.suggestion ?? '**';
      expect(checkPattern(suggestion)).toBeUndefined();
    }),
    { numRuns: 2000 },
  );
});
