import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.ts';
import type { UpstreamRequest } from '../../../src/upstream/upstream.ts';
import { askHedged } from '../../../src/pull/hedge.ts';
import { sleep } from '../../../src/system/clock.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { ABSENT, createScriptedPort, trouble, type Said } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse, settle } from './house.ts';

const REQUEST: UpstreamRequest = { kind: 'manifest', method: 'GET', registry: 'docker.io', repository: 'a/b', reference: '3' };

interface Answer {
  readonly afterMs: number;
  readonly said: Said;
}

const bytes = Buffer.alloc(300_000, 7);
const digest = digestOf(bytes);
const FOUND: Said = { bytes: Buffer.from('x') };

function world(first: Answer, second: Answer, usualMs: number | 'unknown' = 100) {
  const clock = createFakeClock();
  const port = (name: string, { afterMs, said }: Answer) =>
    createScriptedPort(name, async () => {
      await sleep(clock, afterMs);
      return said;
    });
  const [a, b] = [port('a', first), port('b', second)];
  if (usualMs !== 'unknown') a.stand({ usualMs });
  const ask = async (passMs = 20_000) => {
    const signal = new AbortController().signal;
    const hedged = { first: a, second: b, request: REQUEST, signal, remainingMs: () => 10_000 };
    const accepted: string[] = [];
    const asking = askHedged(clock, hedged, async (answer, { name }) => {
      accepted.push(name);
      answer.body?.close();
      return name;
    });
    await clock.advance(passMs);
    const { outcomes, lost } = await asking;
    expect([clock.pending(), a.openBodies(), b.openBodies()]).toEqual([0, 0, 0]);
    expect(accepted.length).toBeLessThanOrEqual(1);
    return {
      said: outcomes.map(({ upstream, said, ms }) => `${upstream.name} ${said.kind} ${ms}`),
      lost: lost?.name,
      asked: [a.asked.length, b.asked.length],
    };
  };
  return { clock, a, b, ask };
}

describe('[hedge] the next upstream is asked beside a slow one', () => {
  test('not before the first takes longer than it usually does', async () => {
    const { ask } = world({ afterMs: 99, said: FOUND }, { afterMs: 1, said: FOUND });
    expect(await ask()).toEqual({ said: ['a found 99'], lost: undefined, asked: [1, 0] });
  });

  test('who answers first wins; the other is neither broken off nor blamed, and its answer is closed', async () => {
    const { ask } = world({ afterMs: 500, said: FOUND }, { afterMs: 5, said: FOUND });
    expect(await ask()).toEqual({ said: ['b found 5'], lost: 'a', asked: [1, 1] });
    const slower = world({ afterMs: 150, said: FOUND }, { afterMs: 500, said: FOUND });
    expect(await slower.ask()).toEqual({ said: ['a found 150'], lost: 'b', asked: [1, 1] });
  });

  test('a second of it where nothing is known of the first', async () => {
    const { ask } = world({ afterMs: 5000, said: FOUND }, { afterMs: 5, said: FOUND }, 'unknown');
    expect(await ask()).toMatchObject({ said: ['b found 5'], lost: 'a' });
    const quick = world({ afterMs: 999, said: FOUND }, { afterMs: 5, said: FOUND }, 'unknown');
    expect(await quick.ask()).toMatchObject({ asked: [1, 0] });
  });

  test('a refusal of one is no reason to leave the other, whichever comes first', async () => {
    const early = world({ afterMs: 200, said: ABSENT }, { afterMs: 300, said: FOUND });
    expect(await early.ask()).toMatchObject({ said: ['a absent 200', 'b found 300'], lost: undefined });
    const late = world({ afterMs: 900, said: FOUND }, { afterMs: 5, said: trouble('b') });
    expect(await late.ask()).toMatchObject({ said: ['b failed 5', 'a found 900'], lost: undefined });
  });

  test('one that refuses before its time is not hedged: the chain goes on as ever', async () => {
    const { ask } = world({ afterMs: 10, said: ABSENT }, { afterMs: 5, said: FOUND });
    expect(await ask()).toEqual({ said: ['a absent 10'], lost: undefined, asked: [1, 0] });
  });

  test('who leaves takes the question to the second along', async () => {
    const { clock, a, b } = world({ afterMs: 0, said: 'hang' }, { afterMs: 0, said: FOUND });
    const leaving = new AbortController();
    const hedged = { first: a, second: b, request: REQUEST, signal: leaving.signal, remainingMs: () => 10_000 };
    const asking = askHedged(clock, hedged, async () => 'x');
    leaving.abort(new Error('left'));
    await expect(asking).rejects.toThrow('left');
    await clock.advance(1000);
    expect([b.asked.length, clock.pending()]).toEqual([0, 0]);
  });

  test('one that never answers is a time-out of its own', async () => {
    const { ask } = world({ afterMs: 0, said: 'hang' }, { afterMs: 5, said: ABSENT });
    expect(await ask()).toMatchObject({ said: ['b absent 5', 'a failed 10000'] });
  });
});

describe('[hedge] on the request path', () => {
  const slowThenFast = async (hedge: boolean) => {
    const slow = createScriptedPort('slow', () => 'hang');
    const fast = createScriptedPort('fast', () => ({ bytes }));
    slow.stand({ usualMs: 50 });
    const house = await createHouse({ chain: [slow, fast], policy: { hedge } });
    const pulling = house.blob('a/b', digest);
    await settle();
    await house.clock.advance(50);
    return { slow, fast, house, pulling };
  };

  test('a fill takes the second upstream after the first one’s usual time, and goes on there', async () => {
    const { slow, fast, house, pulling } = await slowThenFast(true);
    const reply = await pulling;
    expect(reply.headers['cache-status']).toContain('detail=fast');
    expect(Buffer.compare(await bytesOf(reply), bytes)).toBe(0);
    expect([slow.gets().length, fast.gets().length]).toEqual([1, 1]);
    await house.clock.advance(30_000);
    expect(slow.openBodies()).toBe(0);
  });

  test.each([
    ['waits for the first, which may be the one that is up to date', false, 'slow'],
    ['goes to the next where both hold the same tags', true, 'fast'],
  ])('a tag %s', async (_, hedgeTags, answers) => {
    const manifest = Buffer.from('{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}');
    const said: Said = { bytes: manifest, mediaType: 'application/vnd.oci.image.index.v1+json' };
    const slow = createScriptedPort('slow', async () => {
      await sleep(house.clock, 200);
      return said;
    });
    slow.stand({ usualMs: 50 });
    const fast = createScriptedPort('fast', () => said);
    const house = await createHouse({ chain: [slow, fast], policy: { hedge: true, hedgeTags } });
    const pulling = house.manifest('a/b', 'latest');
    await settle();
    await house.clock.advance(1000);
    expect((await pulling).headers['cache-status']).toContain(`detail=${answers}`);
  });

  test('without the key the first one has all of its time', async () => {
    const { fast, house, pulling } = await slowThenFast(false);
    const refused = pulling.catch((error: unknown) => error);
    await house.clock.advance(5000);
    expect(fast.asked).toEqual([]);
    await house.clock.advance(30_000);
    expect(await refused).toMatchObject({ status: 504 });
  });

  test('a refusal of the second that overtakes the first one’s does not hide the third', async () => {
    const slow = createScriptedPort('slow', async () => (await sleep(house.clock, 400), ABSENT));
    slow.stand({ usualMs: 50 });
    const [fast, last] = [createScriptedPort('fast', () => ABSENT), createScriptedPort('last', () => ({ bytes }))];
    const house = await createHouse({ chain: [slow, fast, last], policy: { hedge: true } });
    const pulling = house.blob('a/b', digest);
    await settle();
    await house.clock.advance(60);
    await house.clock.advance(400);
    expect(Buffer.compare(await bytesOf(await pulling), bytes)).toBe(0);
    expect([slow, fast, last].map((port) => port.asked.length)).toEqual([1, 1, 1]);
  });

  test('a body of the second that breaks goes on there, and at the first when it breaks in vain', async () => {
    const slow = createScriptedPort('slow', async ({ range }, at) => {
      if (at === 0) await sleep(house.clock, 400);
      return range === undefined ? ABSENT : { bytes };
    });
    slow.stand({ usualMs: 50 });
    const fast = createScriptedPort('fast', (_request, at) => ({ bytes, breakAfter: at === 0 ? 200_000 : 0 }));
    const house = await createHouse({ chain: [slow, fast], policy: { hedge: true } });
    const pulling = house.blob('a/b', digest);
    await settle();
    await house.clock.advance(60);
    expect(Buffer.compare(await bytesOf(await pulling), bytes)).toBe(0);
    expect([fast.starts(), slow.starts()]).toEqual([
      [0, 200_000, 200_000],
      [0, 200_000],
    ]);
  });
});
