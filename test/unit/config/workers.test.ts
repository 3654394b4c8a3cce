import { expect, test } from 'vitest';
import { needsRestart } from '../../../src/config/reload.ts';
import { load, refusal, ROUTES } from './load.ts';

test.each([
  ['', 1],
  ['workers: 1\n', 1],
  ['workers: 16\n', 16],
  ['workers: auto\n', 'auto'],
])('%j', async (written, workers) => {
  expect((await load(`${written}${ROUTES}`)).workers).toBe(workers);
});

test.each(['0', '65', '1.5', 'two', 'Auto', '-1'])('workers: %s is none', async (written) => {
  expect(await refusal(`workers: ${written}\n${ROUTES}`)).toBe(
    'config.yml:1:10: workers: expected a whole number from 1 to 64, or auto\n'.trim(),
  );
});

test('another number waits for a restart', async () => {
  const [one, two] = [await load(`workers: 1\n${ROUTES}`), await load(`workers: 2\n${ROUTES}`)];
  expect(needsRestart(one, two)).toEqual(['workers']);
});

test('an upstream that may be asked less often at once than there are workers is told of', async () => {
  const text = (workers: number): string =>
    `workers: ${workers}\nupstreams: { a: { url: "https://x.test", concurrency: 2 } }\nroutes: [{ match: "**", upstreams: [a] }]\n`;
  expect((await load(text(2))).warnings).toEqual([]);
  expect((await load(text(3))).warnings).toEqual([
    'upstreams.a.concurrency is less than workers: it counts as 3, one for each',
  ]);
});
