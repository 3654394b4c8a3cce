import { describe, expect, test } from 'vitest';
import { createAdmin } from '../../../src/admin/admin.ts';
import { printExplanation } from '../../../src/commands/explain.ts';
import { formatInstant } from '../../../src/oci/instant.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { house, UNHOSTED } from './house.ts';

const [A, B] = ['a', 'b'].map((letter) => `sha256:${letter.repeat(64)}` as Digest) as [Digest, Digest];
const NOBODY = new AbortController().signal;
const HOUR = 3_600_000;

/** alpine:latest pointed to A long ago, and to B since an hour. */
function cooling(cooldownMs = 72 * HOUR, asof?: number) {
  const route = { name: 'hub', at: undefined, deny: false, ...UNHOSTED, chain: [], tagttlMs: 1, cooldownMs, asof };
  const at = house({ routeOf: () => route });
  at.clock.jump(1000 * HOUR);
  const now = at.clock.now();
  at.names.moves.set('latest', [
    { at: now - HOUR, digest: B, upstream: 'hub' },
    { at: now - 99 * HOUR, digest: A, upstream: 'hub' },
    { at: now - 100 * HOUR, digest: A, upstream: 'hub' },
  ]);
  return { at, admin: createAdmin(at), now };
}

describe('the history of a tag', () => {
  test('explain tells the last moves, and what a cooldown answers', async () => {
    const { at, admin, now } = cooling();
    const explained = await admin.explain('alpine', NOBODY);
    expect(explained.history).toMatchObject({
      moves: [
        { digest: B, upstream: 'hub', deleted: false },
        { digest: A, at: formatInstant(now - 100 * HOUR) },
      ],
      more: 0,
      answer: { why: 'cooldown', digest: A },
    });
    const text = printExplanation(explained);
    expect(text).toContain(`${explained.history!.moves[0]!.at}  ${B}  as hub said`);
    expect(text).toContain(`answered by its cooldown with ${A}`);
    at.names.moves.set('latest', [{ at: now, digest: B, upstream: 'hub' }]);
    expect(printExplanation(await admin.explain('alpine', NOBODY))).toMatch(/answered by its cooldown with 404 until 1970-02/);
    expect((await admin.explain(`alpine@${A}`, NOBODY)).history).toBeUndefined();
  });

  test('of many moves it tells how many more there are, and since when', async () => {
    const { at, admin, now } = cooling(0);
    const moves = Array.from({ length: 20 }, (_, back) => ({
      at: now - back * HOUR,
      digest: back % 2 === 0 ? A : B,
      upstream: 'hub',
      deleted: back === 0,
    }));
    at.names.moves.set('latest', moves);
    const { history } = await admin.explain('alpine', NOBODY);
    expect([history!.moves.length, history!.more, history!.answer]).toEqual([8, 12, undefined]);
    const text = printExplanation(await admin.explain('alpine', NOBODY));
    expect(text).toContain(`and 12 moves before, since ${history!.since}`);
    expect(text).toContain('deleted');
  });

  test('a date in the image’s name says what is answered, the earlier of both', async () => {
    const { at, now } = cooling(0, 2000 * HOUR);
    const resolve = (image: string) => ({ ...at.resolve(image), asof: now - 50 * HOUR });
    const { history } = await createAdmin({ ...at, resolve }).explain('alpine', NOBODY);
    expect(history!.answer).toEqual({ why: 'asof', digest: A, until: undefined });
  });

  test('a route’s date says what is answered', async () => {
    const { now } = cooling();
    const { admin } = cooling(0, now - 50 * HOUR);
    expect((await admin.explain('alpine', NOBODY)).history!.answer).toEqual({ why: 'asof', digest: A, until: undefined });
  });
});

describe('release', () => {
  test('lets go what the tag was last seen to point to, once', async () => {
    const { at, admin, now } = cooling();
    expect(await admin.release('alpine')).toEqual({
      image: 'docker.io/library/alpine:latest',
      digest: B,
      forgotten: 0,
    });
    expect(at.names.released.get('latest')).toEqual({ digest: B, at: now });
    const text = printExplanation(await admin.explain('alpine', NOBODY));
    expect(text).toContain('released by hand at');
    expect(text).toContain(`answered by its cooldown with ${B}`);
    await expect(admin.release('alpine')).rejects.toThrow(/is not cooling/);
  });

  test('where nothing cools it says why', async () => {
    await expect(cooling(0).admin.release('alpine')).rejects.toThrow(/the route hub sets none/);
    await expect(cooling().admin.release(`alpine@${A}`)).rejects.toThrow(/name a tag/);
    await expect(cooling().admin.release('alpine:other')).rejects.toThrow(/nothing is known/);
    await expect(createAdmin(house({ routeOf: () => undefined })).release('alpine')).rejects.toThrow(/no route matches/);
  });
});

describe('what judges said', () => {
  /** A route whose judges said something of A, and let in B's children. */
  function judged(cooldownMs = 0) {
    const { at, now } = cooling(cooldownMs);
    const forgotten: string[] = [];
    const admission = {
      verdicts: (_: string, digest: Digest) =>
        Promise.resolve([
          { judge: 'signed', admitted: true, reason: 'it is signed', at: now },
          ...(digest === A ? [{ judge: 'admit', admitted: false, reason: 'CVE', at: undefined }] : []),
        ]),
      forget: (repository: string, image: ReadonlySet<Digest>) => {
        forgotten.push(...[...image].map((digest) => `${repository}@${digest}`));
        return Promise.resolve(image.has(A) ? 2 : 0);
      },
    };
    const route = { ...at.routeOf({ registry: 'docker.io', repository: 'library/alpine' })!, admission };
    return { at, forgotten, admin: createAdmin({ ...at, routeOf: () => route }) };
  }

  test('is forgotten for a digest, and for all that a tag stands for', async () => {
    const { at, admin, forgotten } = judged();
    expect(await admin.release(`alpine@${A}`)).toEqual({ image: `docker.io/library/alpine@${A}`, forgotten: 2 });
    at.names.tags.set(
      'docker.io/library/alpine',
      new Map([['latest', { digest: A, mediaType: 'm', size: 1, checked: 1, upstream: 'hub' }]]),
    );
    expect(await admin.release('alpine')).toEqual({ image: 'docker.io/library/alpine:latest', forgotten: 2 });
    expect(forgotten.slice(1)).toEqual([`docker.io/library/alpine@${A}`, `docker.io/library/alpine@${B}`]);
    await expect(admin.release(`alpine@${B}`)).rejects.toThrow(/nothing is kept of what was said of its content/);
  });

  test('goes with a cooldown', async () => {
    const { at, admin } = judged(72 * HOUR);
    at.names.tags.set(
      'docker.io/library/alpine',
      new Map([['latest', { digest: A, mediaType: 'm', size: 1, checked: 1, upstream: 'hub' }]]),
    );
    expect(await admin.release('alpine')).toEqual({ image: 'docker.io/library/alpine:latest', digest: B, forgotten: 2 });
  });

  test('is explained, judge by judge', async () => {
    const { admin } = judged();
    const explained = await admin.explain(`alpine@${A}`, NOBODY);
    expect(explained.verdicts).toEqual([
      { digest: A, judge: 'signed', admitted: true, reason: 'it is signed', at: expect.any(String) as string },
      { digest: A, judge: 'admit', admitted: false, reason: 'CVE', at: undefined },
    ]);
    const text = printExplanation(explained);
    expect(text).toMatch(new RegExp(`signed +let in +${A} +it is signed, \\d{4}-`));
    expect(text).toMatch(new RegExp(`admit +refused +${A} +CVE\\n`));
  });
});
