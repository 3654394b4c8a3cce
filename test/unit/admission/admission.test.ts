import { describe, expect, test } from 'vitest';
import { UNUSED_MS } from '../../../src/admission/aging.ts';
import { createDigests } from '../../../src/admission/digests.ts';
import { JudgeError, type Judgement } from '../../../src/admission/judge.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import { answering, blob, court, HOLDER, index, judgeOf, no, one, PLACE, pull, shared, two, yes } from './court.ts';

const DAY = 86_400_000;
const NAMES = 'no manifest of this repository that was let in names it: pull its image first';
const LOOKED_AT = `503 ${HOLDER}@${one.top.digest}: is being looked at by admit: try again in 10 s`;

describe('a question', () => {
  test('is asked once however many wait, each for as long as its client does; and goes on when none does', async () => {
    const at = court();
    const judge = judgeOf();
    let answer: (said: Judgement) => void = () => undefined;
    judge.says = () => new Promise((resolve) => (answer = resolve));
    const admission = at.of(judge);
    const waiting = Array.from({ length: 10 }, () => pull(admission, one.top));
    await at.clock.advance(19_999);
    const late = pull(admission, one.top);
    await at.clock.advance(1);
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([LOOKED_AT]));
    expect(await blob(admission, shared)).toBe('admit');
    answer(yes);
    expect(await late).toBeUndefined();
    expect(await pull(admission, one.top)).toBeUndefined();
    expect(await blob(admission, shared)).toBeUndefined();
    expect(judge.asked).toEqual([one.top.digest]);
    expect(at.clock.pending()).toBe(0);
  });

  test('keeps nobody who has gone', async () => {
    const at = court();
    const judge = judgeOf();
    judge.says = () => new Promise(() => undefined);
    const gone = new AbortController();
    const waits = pull(at.of(judge), one.top, gone.signal);
    gone.abort();
    expect(await waits).toBe(LOOKED_AT);
    expect(await pull(at.of(judge), one.top, gone.signal)).toBe(LOOKED_AT);
    expect([judge.asked.length, at.clock.pending()]).toEqual([1, 0]);
  });

  test('is not asked twice over a reload, and its answer stands after a restart', async () => {
    const at = court();
    const judge = judgeOf();
    let answer: (said: Judgement) => void = () => undefined;
    judge.says = () => new Promise((resolve) => (answer = resolve));
    const before = pull(at.of(judge), one.top);
    const after = pull(at.of(judge), one.top);
    await at.clock.advance(0);
    answer(no);
    expect([await before, await after]).toEqual(['admit: bad', 'admit: bad']);
    expect(await pull(at.open().of(judge), one.top)).toBe('admit: bad');
    expect(judge.asked.length).toBe(1);
  });

  test('of content that cannot be had is none, and is asked when it can', async () => {
    const at = court();
    const judge = judgeOf();
    const admission = at.of(judge);
    const lost = answering(one.top, { read: () => Promise.reject(new RegistryError('MANIFEST_UNKNOWN', 'gone')) });
    await expect(admission.manifest(lost, new AbortController().signal)).rejects.toThrow('gone');
    expect(judge.asked).toEqual([]);
    expect(await pull(admission, one.top)).toBeUndefined();
  });

  test('under other rules is another; a judge that was asked is not asked again for another’s sake', async () => {
    const at = court();
    const [signed, admit] = [judgeOf({ name: 'signed', covers: 'children' }), judgeOf()];
    expect(await pull(at.of(signed), one.top)).toBeUndefined();
    expect(await blob(at.of(signed, admit), shared)).toBe('signed');
    expect(await pull(at.of(signed, admit), one.top)).toBeUndefined();
    expect(await pull(at.of(signed, judgeOf({ fingerprint: 'other' })), one.top)).toBeUndefined();
    expect([signed.asked.length, admit.asked.length]).toEqual([1, 1]);
  });
});

describe('what is let in', () => {
  test('is what a manifest names that all judges let in: no two of them make one', async () => {
    const at = court();
    const [signed, admit] = [judgeOf({ name: 'signed', covers: 'children' }), judgeOf()];
    signed.says = ({ digest }) => (digest === one.top.digest ? yes : no);
    admit.says = ({ digest }) => (digest === two.top.digest ? yes : no);
    const admission = at.of(signed, admit);
    expect(await pull(admission, one.top)).toBe('admit: bad');
    expect(await pull(admission, two.top)).toBe('signed: bad');
    expect(await blob(admission, shared)).toBe('signed');
    expect((await admission.blob({ ...PLACE, digest: shared.digest }))!.reason).toBe(NAMES);
  });

  test('is so in its repository alone', async () => {
    const at = court();
    const admission = at.of(judgeOf());
    await pull(admission, one.top);
    expect(await admission.blob({ ...PLACE, repository: 'library/other', digest: shared.digest })).toMatchObject({
      reason: NAMES,
    });
  });

  test('by an index are its children, where a judge says so of them; and where another does not, it is asked about each', async () => {
    const at = court();
    const [signed, admit] = [judgeOf({ name: 'signed', covers: 'children' }), judgeOf()];
    signed.says = ({ digest }) => (digest === index.top.digest ? yes : no);
    admit.says = ({ digest }) => (digest === index.manifests[0]!.digest ? no : yes);
    const admission = at.of(signed, admit);
    expect(await pull(admission, index.manifests[1]!)).toBe('signed: bad');
    expect(await pull(admission, index.top)).toBeUndefined();
    expect(await pull(admission, index.manifests[0]!)).toBe('admit: bad');
    expect(await pull(admission, index.manifests[1]!)).toBeUndefined();
    expect(await blob(admission, index.configs[0]!)).toBe('signed');
    expect(await blob(admission, index.configs[1]!)).toBeUndefined();
    expect(admit.asked).toEqual(index.manifests.map(({ digest }) => digest));
    expect(await admission.verdicts(HOLDER, index.manifests[0]!.digest)).toMatchObject([
      { judge: 'signed', admitted: true, reason: `by the index ${index.top.digest}` },
      { judge: 'admit', admitted: false, reason: 'bad' },
    ]);
    expect(await admission.verdicts(HOLDER, index.top.digest)).toMatchObject([{ admitted: true }, { admitted: undefined }]);
  });

  test('by a list are the listed, their children and layers', async () => {
    const at = court();
    const admission = at.of(createDigests([index.top.digest]));
    expect(await pull(admission, index.manifests[0]!)).toMatch(/^digests: it is not on the list/);
    expect(await pull(admission, index.top)).toBeUndefined();
    expect(await pull(admission, index.manifests[0]!)).toBeUndefined();
    expect(await blob(admission, index.configs[0]!)).toBeUndefined();
  });

  test('is nothing that is denied, whoever else lets it in, and whoever is asked', async () => {
    const at = court();
    const judge = judgeOf();
    const admission = at.admissions.of({ deny: [one.top.digest, shared.digest], judges: [judge] });
    expect(await pull(admission, one.top)).toMatch(/^digests: it is on the list of what is never served/);
    expect(await pull(admission, two.top)).toBeUndefined();
    expect([await blob(admission, shared), await blob(admission, two.layers[0]!)]).toEqual(['digests', undefined]);
    const { nonce } = at.questions.open(HOLDER, [shared.digest, two.top.digest]);
    expect([shared, two.top].map(({ digest }) => admission.opens(nonce, { ...PLACE, digest }))).toEqual([false, true]);
    expect(judge.asked).toEqual([two.top.digest]);
    const alone = at.admissions.of({ deny: [one.top.digest], judges: [] });
    expect([await pull(alone, two.top), await blob(alone, shared)]).toEqual([undefined, undefined]);
  });

  test('is forgotten with its image, and what another image shares with it is not', async () => {
    const at = court();
    const judge = judgeOf();
    const admission = at.of(judge);
    await pull(admission, one.top);
    await pull(admission, two.top);
    const image = new Set([one.top, one.config, ...one.layers].map(({ digest }) => digest));
    expect(await admission.forget(HOLDER, image)).toBe(1);
    expect([await blob(admission, one.layers[0]!), await blob(admission, shared)]).toEqual(['admit', undefined]);
    judge.says = () => no;
    expect(await pull(admission, one.top)).toBe('admit: bad');
    expect(await pull(admission, two.top)).toBeUndefined();
    expect(await admission.forget('docker.io/library/other', image)).toBe(0);
  });
});

describe('a judge that cannot be asked', () => {
  test.each([
    [new JudgeError('it answered with status 500'), 'it answered with status 500'],
    [new RegistryError('UNAVAILABLE', 'hub is down'), 'hub is down'],
    [new Error('connect ECONNREFUSED http://user:secret@10.0.0.1'), 'it could not be asked'],
  ])('refuses for now, and nothing is kept: %s', async (error, why) => {
    const at = court();
    const judge = judgeOf();
    judge.says = () => Promise.reject(error);
    const admission = at.of(judge);
    const said = `503 ${HOLDER}@${one.top.digest}: admit could not tell whether it may be let in: ${why}`;
    expect([await pull(admission, one.top), await pull(admission, one.top)]).toEqual([said, said]);
    expect(await blob(admission, shared)).toBe('admit');
    expect(at.metadata.keys().filter((key) => key.startsWith('admission'))).toEqual([]);
    judge.says = () => yes;
    expect(await pull(admission, one.top)).toBeUndefined();
    expect(judge.asked.length).toBe(3);
    expect(at.events.map(({ kind }) => kind)).toEqual(['judge-failed', 'judge-failed', 'judge-answers', 'judged']);
  });

  test('lets in for a while where it is to, and is asked again half a minute later', async () => {
    const at = court();
    const judge = judgeOf({ onError: 'admit' });
    judge.says = () => Promise.reject(new JudgeError('down'));
    const admission = at.of(judge);
    expect(await pull(admission, one.top)).toBeUndefined();
    await at.clock.advance(29_999);
    expect(await pull(admission, one.top)).toBeUndefined();
    expect(judge.asked.length).toBe(1);
    await at.clock.advance(1);
    expect(await pull(admission, one.top)).toBeUndefined();
    expect(judge.asked.length).toBe(2);
    // Whoever pulls has the time that a pull takes.
    await at.clock.advance(14 * 60_000);
    expect(await blob(at.open().of(judge), shared)).toBeUndefined();
    await at.clock.advance(60_000);
    expect(await blob(at.open().of(judge), shared)).toBe('admit');
    expect(await pull(admission, one.top)).toBeUndefined();
    expect(judge.asked.length).toBe(3);
  });

  test('and says no when it can, shuts out at once what it would not have let in', async () => {
    const at = court();
    const judge = judgeOf({ onError: 'admit' });
    judge.says = () => Promise.reject(new JudgeError('down'));
    const admission = at.of(judge);
    await pull(admission, one.top);
    await pull(admission, two.top);
    judge.says = ({ digest }) => (digest === one.top.digest ? no : yes);
    await at.clock.advance(30_000);
    expect(await pull(admission, two.top)).toBeUndefined();
    expect(await pull(admission, one.top)).toBe('admit: bad');
    expect([await blob(admission, one.layers[0]!), await blob(admission, one.config)]).toEqual(['admit', 'admit']);
    await at.clock.advance(DAY);
    expect([await blob(admission, shared), await pull(admission, two.top)]).toEqual([undefined, undefined]);
  });

  test('lets in for a while also what its index lists, and shuts it out with the index', async () => {
    const at = court();
    const judge = judgeOf({ name: 'signed', covers: 'children', onError: 'admit' });
    judge.says = () => Promise.reject(new JudgeError('down'));
    const admission = at.of(judge);
    const [child] = index.manifests;
    expect([await pull(admission, index.top), await pull(admission, child!)]).toEqual([undefined, undefined]);
    judge.says = () => no;
    await at.clock.advance(30_000);
    expect(await pull(admission, index.top)).toBe('signed: bad');
    expect(await pull(admission, child!)).toBe('signed: bad');
    expect(await blob(admission, index.layers[0]!)).toBe('signed');
  });

  test('leaves refused what it refused, though that has run out', async () => {
    const at = court();
    const judge = judgeOf({ refusesForMs: 1000, onError: 'admit' });
    judge.says = () => no;
    const admission = at.of(judge);
    await pull(admission, one.top);
    judge.says = () => Promise.reject(new Error('down'));
    await at.clock.advance(1000);
    expect(await pull(admission, one.top)).toBe('admit: bad');
    expect(judge.asked.length).toBe(2);
  });
});

describe('while the metadata cannot be asked', () => {
  test('what is pulled is judged anew, once, with all its layers; and what cannot be told is not served', async () => {
    const at = court();
    const judge = judgeOf();
    judge.says = ({ digest }) => (digest === one.top.digest ? yes : no);
    const admission = at.of(judge);
    await pull(admission, one.top);
    at.metadata.setDown(true);
    expect(await blob(admission, shared)).toBe(
      `503 ${HOLDER}@${shared.digest}: the metadata of this registry cannot be asked now, and nothing else tells whether it is let in`,
    );
    for (let twice = 0; twice < 2; twice += 1) {
      expect([await pull(admission, one.top), await pull(admission, two.top)]).toEqual([undefined, 'admit: bad']);
      for (const each of [one.config, ...one.layers]) expect(await blob(admission, each)).toBeUndefined();
      expect(await blob(admission, two.layers[0]!)).toMatch(/^503/);
    }
    expect(judge.asked).toEqual([one.top.digest, one.top.digest, two.top.digest]);
    at.metadata.setDown(false);
    expect([await pull(admission, one.top), await pull(admission, two.top)]).toEqual([undefined, 'admit: bad']);
    expect([await blob(admission, shared), await blob(admission, two.layers[0]!)]).toEqual([undefined, 'admit']);
    expect(judge.asked.length).toBe(3);
  });

  test('nobody gets past a judge that cannot be asked either', async () => {
    const at = court();
    const judge = judgeOf();
    const admission = at.of(judge);
    await pull(admission, one.top);
    at.metadata.setDown(true);
    judge.says = () => Promise.reject(new JudgeError('down'));
    expect(await pull(admission, one.top)).toMatch(/^503/);
  });
});

describe('what counts', () => {
  test('is kept for as long as somebody pulls it now and then, and ninety days longer; its children by their own', async () => {
    const at = court();
    const judge = judgeOf({ name: 'signed', covers: 'children' });
    judge.says = ({ digest }) => (index.manifests.some((child) => child.digest === digest) ? no : yes);
    const admission = at.of(judge);
    const child = index.manifests[0]!;
    const day = async (days: number): Promise<void> => {
      at.clock.jump(days * DAY);
      await at.records.verdicts.forget(at.clock.now() - UNUSED_MS, at.clock.now());
    };
    await pull(admission, index.top);
    await pull(admission, child);
    for (let month = 0; month < 12; month += 1) {
      await day(30);
      expect(await pull(admission, child)).toBeUndefined();
      await at.settled();
      expect(await blob(admission, index.layers[0]!)).toBeUndefined();
    }
    expect(judge.asked).toEqual([index.top.digest]);
    // The index itself was forgotten meanwhile.
    expect(await pull(admission, index.top)).toBeUndefined();
    expect(judge.asked.length).toBe(2);
    await day(89);
    expect(await blob(admission, index.layers[0]!)).toBeUndefined();
    await day(2);
    expect(at.metadata.keys().filter((key) => key.startsWith('admission'))).toEqual([]);
    expect(await pull(admission, child)).toBe('signed: bad');
  });

  test('is noted anew once a week at most', async () => {
    const at = court();
    const admission = at.of(judgeOf());
    await pull(admission, one.top);
    let commits = 0;
    at.metadata.beforeCommit(() => void (commits += 1));
    for (let pulls = 0; pulls < 5; pulls += 1) await pull(admission, one.top);
    at.clock.jump(7 * DAY);
    await pull(admission, one.top);
    expect(commits).toBe(0);
    at.clock.jump(1);
    for (let pulls = 0; pulls < 5; pulls += 1) {
      await pull(admission, one.top);
      await at.settled();
    }
    expect(commits).toBe(2);
  });
});
