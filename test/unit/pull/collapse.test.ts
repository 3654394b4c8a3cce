import { describe, expect, test } from 'vitest';
import { Collapse } from '../../../src/pull/collapse.ts';
import { Unowned } from '../../../src/pull/unowned.ts';
import { PATIENCE_MS, type Told } from '../../../src/pull/via.ts';
import { sleep } from '../../../src/system/clock.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

interface Said extends Told {
  readonly by: string;
}

const ANSWERED: Said = { kind: 'found', by: 'first' };
const LOOPED: Said = { kind: 'unreachable', looped: true, by: 'first' };
const A = ['entrepot-00000000000000aa'];
const B = ['entrepot-00000000000000bb'];

function collapsed() {
  const clock = createFakeClock();
  const collapse = new Collapse<Said>(clock, new Unowned(clock));
  let tell!: (value: Said) => void;
  let fail!: (error: Error) => void;
  const first = new Promise<Said>((resolve, reject) => {
    tell = resolve;
    fail = reject;
  });
  let runs = 0;
  const own = async (): Promise<Said> => {
    runs++;
    return { kind: 'found', by: 'own' };
  };
  return { clock, collapse, tell, fail, first: () => first, own, runs: () => runs };
}

describe('a question that is being asked', () => {
  test('is joined by all who ask it, and asked once', async () => {
    const { collapse, tell, first, own, runs } = collapsed();
    const asked = collapse.ask('k', first);
    const joined = [collapse.ask('k', own), collapse.ask('k', own, A)];
    tell(ANSWERED);
    expect(await asked).toEqual({ value: ANSWERED, joined: false });
    for (const each of joined) expect(await each).toEqual({ value: ANSWERED, joined: true });
    expect(runs()).toBe(0);
    expect((await collapse.ask('k', own)).value.by).toBe('own');
  });

  test('a client waits for it as long as it takes; a mirror asks by itself after a while, once for equal ways', async () => {
    const { clock, collapse, tell, first, own, runs } = collapsed();
    const slow = async (): Promise<Said> => {
      const said = await own();
      await sleep(clock, 10);
      return said;
    };
    const asked = collapse.ask('k', first);
    const client = collapse.ask('k', own);
    const mirrors = [collapse.ask('k', slow, A), collapse.ask('k', slow, A), collapse.ask('k', slow, B)];
    await clock.advance(PATIENCE_MS - 1);
    expect(runs()).toBe(0);
    await clock.advance(11);
    expect((await Promise.all(mirrors)).map(({ value }) => value.by)).toEqual(['own', 'own', 'own']);
    expect(runs()).toBe(2);
    tell(ANSWERED);
    expect([(await asked).joined, (await client).joined]).toEqual([false, true]);
    expect(clock.pending()).toBe(0);
  });

  test('whichever tells first is what an impatient one hears', async () => {
    const { clock, collapse, tell, first } = collapsed();
    const asked = collapse.ask('k', first);
    const mirror = collapse.ask('k', () => new Promise(() => undefined), A);
    await clock.advance(PATIENCE_MS);
    tell(ANSWERED);
    expect(await mirror).toEqual({ value: ANSWERED, joined: true });
    await asked;
  });

  test('that was refused because of the way it came is asked again by those who came another', async () => {
    const { collapse, tell, first, own } = collapsed();
    const asked = collapse.ask('k', first, A);
    const [client, mirror] = [collapse.ask('k', own), collapse.ask('k', own, B)];
    tell(LOOPED);
    expect((await asked).value).toBe(LOOPED);
    expect([(await client).value.by, (await mirror).value.by]).toEqual(['own', 'own']);
  });

  test('the failure of the other is not that of the own', async () => {
    const { clock, collapse, fail, first, own } = collapsed();
    const asked = collapse.ask('k', first).catch((error: Error) => error.message);
    let resolveLate!: (value: Said) => void;
    const late = new Promise<Said>((resolve) => (resolveLate = resolve));
    const mirror = collapse.ask('k', () => late, A);
    await clock.advance(PATIENCE_MS);
    fail(new Error('the disk'));
    resolveLate(await own());
    expect((await mirror).value.by).toBe('own');
    expect(await asked).toBe('the disk');
  });
});
