import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { drawFrom } from '../faults/mutated-requests.ts';
import { addToCorpus, readCorpus } from './corpus.ts';
import { fuzz, type Run } from './fuzz.ts';
import type { Parser } from './parser.ts';
import { allParsers } from './parsers.ts';
import { createTarget, shrink, type Finding } from './round.ts';
import { inHand, sharedFor } from './shared.ts';

const CORPUS = join(import.meta.dirname, 'corpus');
/** `npm run fuzz -- --minutes 60` is the whole run; this shows that nobody has broken one of them. */
const INPUTS = 150;

describe('a smoke of the fuzzer', async () => {
  test.each((await allParsers()).map((parser) => [parser.name, parser] as const))(
    '%s reads its corpus, and what is made of it',
    async (name, parser) => {
      const corpus = readCorpus(CORPUS, name);
      expect(corpus.length).toBeGreaterThan(1);
      const target = createTarget(parser, corpus);
      const draw = drawFrom(createSeededRandom(7));
      const findings: (Finding | undefined)[] = [];
      for (const input of [...(parser.seeds ?? []), ...corpus]) findings.push(await target.read(input));
      for (let left = INPUTS; left > 0; left--) findings.push(await target.next(draw, () => undefined));
      expect(findings.filter((finding) => finding !== undefined)).toEqual([]);
      expect(target.tally.shapes, 'inputs that are all refused alike show nothing').toBeGreaterThan(1);
    },
  );
});

describe('the fuzzer', () => {
  const parser: Parser = { name: 'test', covers: [], words: ['x'], longest: 100, read: (input) => input.slice(0, 1) };
  const draw = drawFrom(createSeededRandom(1));

  test('finds what throws, and shows the shortest input that does', async () => {
    const faulty = { ...parser, read: (input: string) => JSON.parse(input.includes('!') ? '{' : '{}') && 'ok' } as Parser;
    const finding = await createTarget(faulty, []).read('abc!def');
    expect(finding).toMatchObject({ parser: 'test', what: expect.stringContaining('JSON') as string });
    expect((await shrink(faulty, finding!)).input).toBe('!');
  });

  test('finds what is slow each time, and not what was slow once', async () => {
    const busy = (ms: number): void => {
      for (const end = performance.now() + ms; performance.now() < end;);
    };
    let calls = 0;
    const always = { ...parser, msMax: 5, read: () => (busy(8), '') };
    const once = { ...parser, msMax: 5, read: () => (calls++ === 0 ? (busy(8), '') : '') };
    expect(await createTarget(always, []).read('a')).toMatchObject({ what: expect.stringMatching(/^slow: /) as string });
    expect(await createTarget(once, []).read('a')).toBeUndefined();
  });

  test('makes of a few inputs others that nobody has written, none longer than can come', async () => {
    const target = createTarget(parser, ['abc']);
    const inputs = new Set<string>();
    for (let left = 500; left > 0; left--) await target.next(draw, (input) => inputs.add(input));
    expect(inputs.size).toBeGreaterThan(300);
    expect(Math.max(...[...inputs].map((input) => input.length))).toBe(100);
    expect([...inputs].every((input) => /^[\0-\u00ff]*$/.test(input))).toBe(true);
  });

  test('keeps what failed', async () => {
    const { mkdtempSync, rmSync } = await import('node:fs');
    const directory = mkdtempSync('/tmp/fuzz-');
    addToCorpus(directory, 'test', 'a\n\u00ff"');
    addToCorpus(directory, 'test', 'b');
    addToCorpus(directory, 'test', 'b');
    expect(readCorpus(directory, 'test')).toEqual(['a\n\u00ff"', 'b']);
    rmSync(directory, { recursive: true });
  });

  test('what is in hand can be read by another thread', () => {
    const memory = sharedFor(10);
    inHand(memory).put(3, 'a\u00ffb');
    expect(inHand(memory).get()).toEqual({ parser: 3, input: 'a\u00ffb' });
    inHand(memory).rest();
    expect([inHand(memory).get(), inHand(memory).count()]).toEqual([undefined, 2]);
  });

  /** A worker that does one thing and says nothing: its input `abc` is in the hand of the second parser. */
  const run = (code: string): Run => {
    const head = `import { workerData, parentPort } from 'node:worker_threads';
      const head = new Int32Array(workerData.shared, 0, 4);
      const put = () => { head[1] = 2; head[2] = Buffer.from(workerData.shared, 16).write('abc'); Atomics.add(head, 0, 1); };
      const round = (heapBytes) => parentPort.postMessage({ kind: 'round', tallies: [], heapBytes, rssBytes: 0 });`;
    const worker = new URL(`data:text/javascript,${encodeURIComponent(head + code)}`);
    return { worker, corpus: CORPUS, seed: 1, names: ['range', 'link'], turnMs: 1, ms: 800, hangMs: 300 };
  };

  test.each([
    ['hangs', 'put(); for (;;);', { parser: 'link', input: 'abc', what: expect.stringContaining('hangs') as string }],
    [
      'ends its process',
      `put(); throw new RangeError('full');`,
      { parser: 'link', input: 'abc', what: 'ends the process: full' },
    ],
    [
      'holds more and more',
      'for (let at = 0; at < 40; at++) round(at * 1024 * 1024); setInterval(() => undefined, 1000);',
      { parser: 'all', input: '', what: expect.stringContaining('MiB more are held') as string },
    ],
  ])('says which input a parser had in hand that %s', async (_, code, finding) => {
    const told: Finding[] = [];
    const { findings } = await fuzz(run(code), (one) => told.push(one));
    expect(findings[0]).toEqual(finding);
    expect(told).toEqual(findings);
  });

  test('is content with what holds as much as before', async () => {
    const code = 'for (let at = 0; at < 40; at++) round((at % 3) * 1024 * 1024); setInterval(() => undefined, 1000);';
    expect((await fuzz(run(code), () => undefined)).findings).toEqual([]);
  });
});
