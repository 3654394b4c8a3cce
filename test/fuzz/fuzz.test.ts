import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { drawFrom } from '../faults/mutated-requests.ts';
import { addToCorpus, readCorpus } from './corpus.ts';
import { fuzz, type Run } from './fuzz.ts';
import { inHand } from './in-hand.ts';
import type { Parser } from './parser.ts';
import { allParsers } from './parsers.ts';
import { createTarget, shrink, type Finding } from './round.ts';

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
  let directory: string;
  beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'entrepot-fuzz-'))));
  afterAll(() => rmSync(directory, { recursive: true }));
  const parser: Parser = { name: 'test', covers: [], words: ['x'], longest: 100, read: (input) => input.slice(0, 1) };
  const draw = drawFrom(createSeededRandom(1));

  test('finds what throws, and shows the shortest input that does', async () => {
    const faulty = { ...parser, read: (input: string) => JSON.parse(input.includes('!') ? '{' : '{}') && 'ok' } as Parser;
    const finding = await createTarget(faulty, []).read('abc!def');
    expect(finding).toMatchObject({ parser: 'test', what: expect.stringContaining('JSON') as string });
    expect((await shrink(faulty, finding!)).input).toBe('!');
  });

  test('finds what is slow each time, and not what was slow once', async () => {
    // Of the processor's time, so that a machine that does other things changes nothing.
    const busy = (ms: number): void => {
      for (const before = process.cpuUsage(); process.cpuUsage(before).user < ms * 1000;);
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

  test('keeps what failed', () => {
    addToCorpus(directory, 'test', 'a\n\u00ff"');
    for (const again of ['b', 'b', 'x'.repeat(10_000)]) addToCorpus(directory, 'test', again);
    expect(readCorpus(directory, 'test')).toEqual(['a\n\u00ff"', 'b']);
  });

  test('what is in hand can be read by whoever else has the file', () => {
    const [ours, theirs] = [inHand(join(directory, 'a')), inHand(join(directory, 'a'))];
    expect([theirs.get(), theirs.count()]).toEqual([undefined, 0]);
    ours.put(3, 'a\u00ffb');
    expect([theirs.get(), theirs.count()]).toEqual([{ parser: 3, input: 'a\u00ffb' }, 1]);
    ours.rest();
    expect([theirs.get(), theirs.count()]).toEqual([undefined, 2]);
    ours.close();
    theirs.close();
  });

  /** A worker that does one thing: it can `put` the input `abc` into the hand of the second parser, and tell of a `round`. */
  const run = (code: string): Run => {
    const worker = join(directory, 'worker.mjs');
    writeFileSync(
      worker,
      `import { openSync, writeSync } from 'node:fs';
      const round = (heapBytes) => process.send({ kind: 'round', tallies: [], heapBytes, rssBytes: 0 });
      process.once('message', ({ hand }) => {
        const put = () => writeSync(openSync(hand, 'r+'), Buffer.from('010000000200000003000000616263', 'hex'), 0, 15, 0);
        ${code}
      });`,
    );
    return { worker, corpus: CORPUS, seed: 1, names: ['range', 'link'], turnMs: 1, ms: 1500, hangMs: 300 };
  };

  test.each([
    ['hangs', 'put(); for (;;);', { parser: 'link', input: 'abc', what: expect.stringContaining('hangs') as string }],
    [
      'ends its process',
      `put(); throw new RangeError('full');`,
      { parser: 'link', input: 'abc', what: 'ends the process: 1 RangeError: full' },
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
