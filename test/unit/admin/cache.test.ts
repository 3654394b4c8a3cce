import { describe, expect, test } from 'vitest';
import { createAdmin, type Admin } from '../../../src/admin/admin.ts';
import type { Doomed, EvictStep } from '../../../src/admin/evict.ts';
import type { NamedPin } from '../../../src/admin/pins.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { house, roomy } from './house.ts';

const DIGEST = digestOf(Buffer.from('a'));
const RECORD = { digest: DIGEST, mediaType: 'm', size: 1, checked: 0, upstream: 'hub' };
const LIBRARY = 'docker.io/library';

interface Given {
  readonly configured?: readonly string[];
  readonly why?: string;
  readonly full?: boolean;
}

/** alpine:1 and alpine:2, busybox:1 and acme/app:1 are held; what is asked to go is noted. */
function given({ configured = [], why, full = false }: Given = {}): { admin: Admin; doomed: Doomed[]; set: Set<string> } {
  const set = new Set<string>();
  const doomed: Doomed[] = [];
  const matching =
    (text: string): NamedPin['matches'] =>
    (repository, tag) =>
      text === repository || text === `${repository}:${tag}`;
  const at = house({
    cache: roomy({
      async *evict(all) {
        let kept = 0;
        for await (const one of all) {
          doomed.push(one);
          kept += 1;
          const step = { kind: 'image', repository: one.repository, tag: '1', digest: DIGEST } as const;
          yield why === undefined ? { ...step, goes: true } : { ...step, goes: false, why };
        }
        const images = why === undefined ? kept : 0;
        yield { kind: 'done', dryRun: false, images, kept: kept - images, blobs: 0, bytes: 0, ms: 0 };
      },
      async *nextToGo() {
        yield await Promise.resolve({ kind: 'round', due: true, bytes: 5, files: 0 } as const);
      },
      pins: () =>
        Promise.resolve([
          ...configured.map((text): NamedPin => ({ text, by: 'configuration', matches: matching(text) })),
          ...Array.from(set, (text): NamedPin => ({ text, by: 'command', matches: matching(text) })),
        ]),
      readPin: (text) => (text.includes('{') ? { fault: 'expected no brace' } : { matches: matching(text) }),
    }),
    shown: (holder) => holder.replace('docker.io/library/', ''),
  });
  for (const [name, tags] of [
    [`${LIBRARY}/alpine`, ['1', '2']],
    [`${LIBRARY}/busybox`, ['1']],
    ['docker.io/acme/app', ['1']],
  ] as const) {
    at.names.tags.set(name, new Map(tags.map((tag) => [tag, RECORD])));
    at.names.links.add(`${name} ${DIGEST}`);
  }
  Object.assign(at.records, {
    links: () => [],
    pin: (text: string) => Promise.resolve(!full && set.add(text) !== undefined),
    unpin: (text: string) => Promise.resolve(set.delete(text)),
  });
  return { admin: createAdmin(at), doomed, set };
}

async function all(steps: AsyncIterable<EvictStep>): Promise<EvictStep[]> {
  const found: EvictStep[] = [];
  for await (const step of steps) found.push(step);
  return found;
}

const named = (doomed: readonly Doomed[]) =>
  doomed.map(({ repository, tags, digests, whole }) => [repository, tags.map(({ tag }) => tag), digests, whole]);

describe('what a name means to evict', () => {
  test.each([
    ['alpine:1', [[`${LIBRARY}/alpine`, ['1'], [], false]]],
    ['alpine', [[`${LIBRARY}/alpine`, ['1', '2'], [], true]]],
    [`alpine@${DIGEST}`, [[`${LIBRARY}/alpine`, ['1', '2'], [DIGEST], false]]],
    [
      'docker.io/library/*',
      [
        [`${LIBRARY}/alpine`, ['1', '2'], [], true],
        [`${LIBRARY}/busybox`, ['1'], [], true],
      ],
    ],
    [
      'docker.io/library/*:1',
      [
        [`${LIBRARY}/alpine`, ['1'], [], false],
        [`${LIBRARY}/busybox`, ['1'], [], false],
      ],
    ],
    ['alp*', [[`${LIBRARY}/alpine`, ['1', '2'], [], true]]],
  ])('%s', async (pattern, expected) => {
    const { admin, doomed } = given();
    const steps = await all(admin.evict({ pattern, dryRun: false }));
    expect(named(doomed)).toEqual(expected);
    expect(steps[0]).toMatchObject({ repository: doomed[0]?.repository.replace(`${LIBRARY}/`, '') });
  });

  test.each(['alpine:3', 'nothing', 'quay.io/**', `busybox@${digestOf(Buffer.from('b'))}`])(
    '%s is not found, and is named',
    async (pattern) => {
      await expect(all(given().admin.evict({ pattern, dryRun: true }))).rejects.toThrow(
        `nothing that is held matches ${pattern}`,
      );
    },
  );

  test('where all of it stays the first reason is the answer', async () => {
    const { admin } = given({ why: 'pinned by x' });
    await expect(all(admin.evict({ pattern: 'alpine', dryRun: false }))).rejects.toThrow(
      'nothing that matches alpine may go: pinned by x',
    );
  });

  test('without a name only a look ahead is possible', async () => {
    const { admin } = given();
    expect(await all(admin.evict({ pattern: undefined, dryRun: true }))).toMatchObject([{ kind: 'round' }]);
    await expect(all(admin.evict({ pattern: undefined, dryRun: false }))).rejects.toThrow('say what is to go');
  });
});

describe('pins', () => {
  test.each([
    ['alpine', `${LIBRARY}/alpine`, true],
    ['alpine:2', `${LIBRARY}/alpine:2`, true],
    ['alpine:7', `${LIBRARY}/alpine:7`, false],
    ['ghcr.io/**', 'ghcr.io/**', false],
  ])('%s is kept as %s; whether anything held matches: %s', async (pattern, text, held) => {
    const { admin, set } = given();
    expect(await admin.pin(pattern)).toEqual({ text, by: 'command', held });
    expect([...set]).toEqual([text]);
    expect((await admin.unpin(pattern)).text).toBe(text);
    expect([...set]).toEqual([]);
  });

  test('what can be no pin is refused, and so is one too many', async () => {
    await expect(given().admin.pin(`alpine@${DIGEST}`)).rejects.toThrow('pin its tag, or its repository');
    await expect(given().admin.pin('docker.io/{a,b}/*')).rejects.toThrow('docker.io/{a,b}/* can be no pin: expected no brace');
    await expect(given({ full: true }).admin.pin('alpine')).rejects.toThrow('too many pins');
  });

  test('what is not pinned, or by the configuration alone, cannot be taken back, and is named', async () => {
    await expect(given().admin.unpin('alpine')).rejects.toThrow(`${LIBRARY}/alpine is not pinned`);
    const both = given({ configured: [`${LIBRARY}/alpine`] });
    await both.admin.pin('alpine');
    await expect(both.admin.unpin('alpine')).rejects.toThrow('pinned by the configuration: take it out there');
    expect([...both.set]).toEqual([]);
  });

  test('ls and explain name them', async () => {
    const { admin } = given({ configured: [`${LIBRARY}/alpine:2`] });
    await admin.pin('busybox');
    const pinned: unknown[] = [];
    for await (const one of admin.ls('docker.io/library/*')) pinned.push([one.repository, one.tag, one.pinned, one.bytes]);
    expect(pinned).toEqual([
      ['alpine', '1', [], 7],
      ['alpine', '2', [`${LIBRARY}/alpine:2`], 7],
      ['busybox', '1', [`${LIBRARY}/busybox`], 7],
    ]);
    const explained = await admin.explain('alpine:2', new AbortController().signal);
    expect(explained.pinned).toEqual([{ text: `${LIBRARY}/alpine:2`, by: 'configuration' }]);
  });
});

test('explain tells when an image goes for its age: neither a pinned one nor an offline one does', async () => {
  const pin: NamedPin = { text: 'p', by: 'command', matches: () => true };
  const explained = async (pins: readonly NamedPin[], offline: boolean): Promise<number | undefined> => {
    const at = house({ cache: roomy({ pins: () => Promise.resolve(pins), maxAgeMs: () => 3_600_000 }) });
    const route = at.routeOf({ registry: 'docker.io', repository: 'library/a' })!;
    const admin = createAdmin({ ...at, routeOf: () => ({ ...route, offline }) });
    return (await admin.explain('a', new AbortController().signal)).maxAgeMs;
  };
  expect(await explained([], false)).toBe(3_600_000);
  expect(await explained([pin], false)).toBeUndefined();
  expect(await explained([], true)).toBeUndefined();
});

test('a maxsize that the disk cannot hold is warned of', async () => {
  const state = await roomy().state();
  for (const [maxBytes, warned] of [
    [90, false],
    [91, true],
    [undefined, false],
  ] as const) {
    const at = house({ cache: roomy({ state: () => Promise.resolve({ ...state, maxBytes }) }) });
    const { warnings } = await createAdmin(at).status();
    expect(warnings.some((warning) => warning.includes('cache.maxsize is more than the disk has'))).toBe(warned);
  }
});
