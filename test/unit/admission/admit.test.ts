import { setMaxListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { createAdmit, scannerPlaces, type AdmitOptions, type Send } from '../../../src/admission/admit.ts';
import { createDigests } from '../../../src/admission/digests.ts';
import type { Entering } from '../../../src/admission/judge.ts';
import { questionText, type Question } from '../../../src/admission/question-text.ts';
import { Questions } from '../../../src/admission/questions.ts';
import { cleanReason } from '../../../src/admission/reason.ts';
import { ownAddress } from '../../../src/compose/admission.ts';
import { createNameParser } from '../../../src/pull/name.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { load } from '../config/load.ts';
import { HOLDER, index, one, PLACE, two } from './court.ts';

/** As that of the server's end, at which each question listens. */
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);
const entering = ({ digest, mediaType, bytes } = one.top): Entering => ({ ...PLACE, tag: '3', digest, mediaType, bytes });
const answer = (value: unknown) => ({ status: 200, body: Buffer.from(JSON.stringify(value)) });

function admit(send: Send, more: Partial<AdmitOptions> = {}) {
  const clock = createFakeClock();
  const questions = new Questions(createSeededRandom(1));
  const address = () => 'http://mirror.test:5000';
  const judge = createAdmit({
    fingerprint: 'f',
    onError: 'refuse',
    timeoutMs: 120_000,
    send,
    clock,
    questions,
    places: scannerPlaces(),
    address,
    ...more,
  });
  return { clock, questions, judge };
}

describe('the question', () => {
  test('is asked when all processes know the name that it gives', async () => {
    let know = (): void => undefined;
    const opened = (): Promise<void> => new Promise((resolve) => (know = resolve));
    let isAsked = false;
    const { judge } = admit(
      async () => {
        isAsked = true;
        return answer({ allow: true });
      },
      { questions: new Questions(createSeededRandom(1), { opened, closed: () => undefined }) },
    );
    const judged = judge.judge(entering(), NEVER);
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    expect(isAsked).toBe(false);
    know();
    expect(await judged).toMatchObject({ kind: 'admitted' });
  });

  test('ends with its answer, however that is', async () => {
    const nonces: string[] = [];
    const opened: boolean[][] = [];
    const outcomes: (() => ReturnType<Send>)[] = [
      () => Promise.resolve(answer({ allow: true })),
      () => Promise.resolve(answer({})),
      () => Promise.reject(new Error('broken')),
    ];
    const { judge, questions, clock } = admit((body) => {
      const { pull } = JSON.parse(Buffer.from(body).toString()) as Question;
      const nonce = /admission\/([0-9a-f]{32})\//.exec(pull)![1]!;
      nonces.push(nonce);
      const asked = [one.top, one.config, ...one.layers, two.top].map(({ digest }) => questions.allows(nonce, HOLDER, digest));
      opened.push([...asked, questions.allows(nonce, 'docker.io/library/other', one.top.digest)]);
      return outcomes[nonces.length - 1]!();
    });
    for (const _ of outcomes) await judge.judge(entering(), NEVER).catch(() => undefined);
    expect(opened).toEqual(outcomes.map(() => [true, true, true, true, false, false]));
    expect(new Set(nonces).size).toBe(3);
    for (const nonce of nonces) expect(questions.allows(nonce, HOLDER, one.top.digest)).toBe(false);
    expect(clock.pending()).toBe(0);
  });

  test('ends when its time is over, or the server ends', async () => {
    const silent: Send = (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    const { judge, clock } = admit(silent);
    const why = (error: unknown): string => (error as Error).message;
    const late = judge.judge(entering(), NEVER).catch(why);
    await clock.advance(120_000);
    expect(await late).toBe('it gave no answer within 120 s');
    const end = new AbortController();
    const ended = judge.judge(entering(), end.signal).catch(why);
    await clock.advance(0);
    end.abort(new Error('the server ends'));
    expect(await ended).toBe('it could not be asked');
    expect(clock.pending()).toBe(0);
  });

  test('waits where eight are open, in its turn, and is refused where too many wait', async () => {
    const open: ((value: Awaited<ReturnType<Send>>) => void)[] = [];
    const { judge } = admit(() => new Promise((resolve) => open.push(resolve)));
    const asked = Array.from({ length: 8 + 256 }, () => judge.judge(entering(), NEVER));
    const gone = new AbortController();
    await expect(judge.judge(entering(), NEVER)).rejects.toThrow('too much waits to be looked at');
    expect(open.length).toBe(8);
    open[0]!(answer({ allow: true }));
    await asked[0];
    const waits = judge.judge(entering(), gone.signal);
    await Promise.resolve();
    gone.abort(new Error('the server ends'));
    await expect(waits).rejects.toThrow('the server ends');
    for (let at = 1; at < asked.length; at += 1) {
      expect(open.length).toBeLessThanOrEqual(at + 8);
      open[at]!(answer({ allow: true }));
      await asked[at];
    }
    await expect(Promise.all(asked)).resolves.toHaveLength(264);
  });

  test('is none about an index', async () => {
    const { judge } = admit(() => Promise.reject(new Error('asked')));
    expect(await judge.judge(entering(index.top), NEVER)).toMatchObject({ kind: 'admitted' });
  });

  test('tells what it is about, and a name that programs take and we read back', () => {
    const nonce = 'c'.repeat(32);
    const text = questionText({ ...entering(), registry: 'localhost:5001', tag: undefined }, 'https://mirror.test', nonce);
    const question = JSON.parse(text) as Question;
    const name = `admission/${nonce}/localhost_5001/library/alpine`;
    expect(question).toMatchObject({
      registry: 'localhost:5001',
      reference: `localhost:5001/library/alpine@${one.top.digest}`,
      pull: `https://mirror.test/v2/${name}/manifests/${one.top.digest}`,
      image: `mirror.test/${name}@${one.top.digest}`,
    });
    expect(question).not.toHaveProperty('tag');
    const options = { default: 'docker.io', self: [], prefixes: new Map(), aliases: new Map(), pathPrefix: '' };
    for (const more of [{}, { plain: 'local' }, { only: 'ghcr.io' }]) {
      const parse = createNameParser({ ...options, hosts: new Map([['ghcr.test', 'ghcr.io']]), ...more });
      expect(parse(new URL(question.pull).pathname, 'ghcr.test')).toMatchObject({
        kind: 'manifest',
        name: {
          registry: 'localhost:5001',
          repository: 'library/alpine',
          shown: name,
          base: `/v2/${name}`,
          nonce,
        },
      });
    }
  });

  test('of a manifest that is no JSON has it as base64; behind a path it has no image’s name', () => {
    const bytes = Buffer.from('no JSON');
    const question = JSON.parse(questionText({ ...entering(), bytes }, 'http://m.test/registry', 'n')) as Question;
    expect(question.manifest).toBe(bytes.toString('base64'));
    expect(question.pull).toMatch(/^http:\/\/m\.test\/registry\/v2\/admission\/n\//);
    expect(question).not.toHaveProperty('image');
  });
});

test.each([
  ['admission', `/v2/admission/manifests/1`],
  ['admission/abc/x', `/v2/admission/abc/x/manifests/1`],
  [`admission/${'g'.repeat(32)}/docker.io/x`, `/v2/admission/${'g'.repeat(32)}/docker.io/x/manifests/1`],
  [`admission/${'a'.repeat(32)}`, `/v2/admission/${'a'.repeat(32)}/manifests/1`],
  [`admission/${'a'.repeat(32)}`, `/v2/admission/${'a'.repeat(32)}/tags/list`],
])('a repository may well be called %s', (repository, path) => {
  const maps = { hosts: new Map(), prefixes: new Map(), aliases: new Map() };
  const parse = createNameParser({ default: 'quay.io', self: [], pathPrefix: '', ...maps });
  const target = parse(path, undefined);
  expect('name' in target && [target.name.repository, target.name.nonce]).toEqual([repository, undefined]);
});

test('whoever is asked finds us by the public address, else by where we listen', async () => {
  const of = async (http: string, listening: string) =>
    ownAddress(await load(`http: ${http}\nroutes: [{ match: "**", upstreams: [origin] }]`), listening);
  expect(await of('{ host: "https://mirror.test/", prefix: /registry/ }', '0.0.0.0:5000')).toBe('https://mirror.test/registry');
  expect(await of('{ addr: ":5000" }', '127.0.0.1:5000')).toBe('http://127.0.0.1:5000');
  for (const anybody of ['0.0.0.0:5000', '[::]:5000'])
    expect(await of('{ addr: ":5000" }', anybody)).toMatch(/^http:\/\/[^0:[\]]+.*:5000$/);
});

test.each([
  ['fine', 'fine'],
  ['  two\n\tlines\r\u0000\u001b[31mred\u0007 ', 'two lines [31mred'],
  ['\u202Eevil\u2066\uFEFF\u200B', 'evil'],
  ['\uD800', 'no reason was given'],
  ['', 'no reason was given'],
])('a reason is one line: %j', (text, line) => expect(cleanReason(text)).toBe(line));

test('a reason is short, and no letter is cut in two', () => {
  expect(cleanReason('é'.repeat(301))).toBe(`${'é'.repeat(299)}…`);
  expect(cleanReason('😀'.repeat(300))).toBe('😀'.repeat(300));
});

test('a list of digests is the same in any order, and another with another digest', () => {
  const of = (...digests: (typeof one.top.digest)[]): string => createDigests(digests).fingerprint;
  const [a, b] = [one.top.digest, two.top.digest];
  expect(of(a, b)).toBe(of(b, a, a));
  expect(new Set([of(a), of(b), of(a, b)]).size).toBe(3);
});
