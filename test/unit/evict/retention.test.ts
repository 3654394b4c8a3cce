import { beforeEach, describe, expect, test } from 'vitest';
import { GRACE_MS } from '../../../src/evict/collect.ts';
import type { RetentionLine, RetentionRule } from '../../../src/evict/retention.ts';
import { buildImage } from '../../fakes/images.ts';
import { pushImage } from '../../fakes/pushed.ts';
import { HOLDER } from '../push/house.ts';
import { createCollectHouse, told, type House } from './house.ts';

const DAY = 24 * 3_600_000;
const image = buildImage({ layers: [100] });
const line = (pattern: RegExp, rule: RetentionRule): RetentionLine => ({ matches: (tag) => pattern.test(tag), rule });

let at: House;
beforeEach(async () => {
  at = await createCollectHouse();
});

async function gone(...lines: RetentionLine[]): Promise<string[]> {
  const steps = await at.collect({ dryRun: true }, { retention: () => lines });
  expect(told(await at.collect({}, { retention: () => lines }))).toEqual(told(steps));
  return told(steps).sort();
}

describe('retention', () => {
  test('without lines, and where none matches, every tag stays', async () => {
    await pushImage(at, HOLDER, ['1'], image);
    at.clock.jump(100 * DAY);
    expect(await gone()).toEqual([]);
    expect(await gone(line(/^v/, { kind: 'unpulled', ms: DAY }))).toEqual([]);
  });

  test('the first line that matches decides', async () => {
    await pushImage(at, HOLDER, ['v1', 'b1'], image);
    at.clock.jump(100 * DAY);
    const lines = [line(/^v/, { kind: 'forever' }), line(/./, { kind: 'unpulled', ms: DAY })];
    expect(await gone(...lines)).toEqual([`tag ${HOLDER}:b1`]);
  });

  test('unpulled: neither pulled nor pushed for so long', async () => {
    await pushImage(at, HOLDER, ['idle', 'pulled', 'pushed'], image);
    at.clock.jump(14 * DAY - 1);
    expect(await gone(line(/./, { kind: 'unpulled', ms: 14 * DAY }))).toEqual([]);
    at.records.used(HOLDER, { tag: 'pulled', digest: image.top.digest, bytes: true });
    await at.clock.advance(10_000);
    await pushImage(at, HOLDER, ['pushed'], image);
    at.clock.jump(1);
    expect(await gone(line(/./, { kind: 'unpulled', ms: 14 * DAY }))).toEqual([`tag ${HOLDER}:idle`]);
  });

  test('newest: by their last push, among those that the line decides', async () => {
    for (const tag of ['a', 'keep', 'b', 'c', 'd']) {
      await pushImage(at, HOLDER, [tag], image);
      at.clock.jump(1000);
    }
    await pushImage(at, HOLDER, ['a'], image);
    const lines = [line(/^keep$/, { kind: 'forever' }), line(/./, { kind: 'newest', count: 2 })];
    expect(await gone(...lines)).toEqual([`tag ${HOLDER}:b`, `tag ${HOLDER}:c`]);
  });

  test('a tag that is pushed while it is to go stays', async () => {
    await pushImage(at, HOLDER, ['1'], image);
    at.clock.jump(100 * DAY);
    let first = true;
    at.metadata.beforeCommit(async () => {
      if (!first || at.metadata.keys().every((key) => !key.startsWith('task/'))) return;
      first = false;
      at.metadata.beforeCommit(undefined);
      await pushImage(at, HOLDER, ['1'], image);
    });
    const steps = await at.collect({}, { retention: () => [line(/./, { kind: 'unpulled', ms: DAY })] });
    expect(first).toBe(false);
    expect(told(steps)).toEqual([]);
  });

  test('what a tag that went led to goes as well, with untagged manifests', async () => {
    await pushImage(at, HOLDER, ['1'], image);
    at.clock.jump(100 * DAY + GRACE_MS);
    const retention = () => [line(/./, { kind: 'unpulled', ms: DAY } as const)];
    const dry = await at.collect({ dryRun: true, deleteUntagged: true }, { retention });
    const steps = await at.collect({ deleteUntagged: true }, { retention });
    expect(told(dry)).toEqual(told(steps));
    expect(steps.at(-1)).toMatchObject({ tags: 1, manifests: 1, links: 2, blobs: 3 });
  });
});
