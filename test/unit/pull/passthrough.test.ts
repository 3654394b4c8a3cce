import { beforeEach, describe, expect, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import type { Balance } from '../../../src/pull/balance.ts';
import { Passthrough, type Client, type Entrance } from '../../../src/pull/passthrough.ts';
import type { Route } from '../../../src/pull/route.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { Unowned } from '../../../src/pull/unowned.ts';
import {
  UpstreamError,
  type ClientCredentials,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamRequest,
} from '../../../src/upstream/upstream.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const PROOF_MS = 900_000;
const NEGATIVE_MS = 30_000;

const FOUND: UpstreamAnswer = {
  kind: 'found',
  status: 200,
  mediaType: undefined,
  digest: undefined,
  size: 1,
  from: 0,
  next: undefined,
  filtersApplied: undefined,
  anonymous: false,
  body: undefined,
};
const OPEN: UpstreamAnswer = { ...FOUND, anonymous: true };
const ABSENT: UpstreamAnswer = { kind: 'absent' };
const HIDDEN: UpstreamAnswer = { kind: 'absent', hint: 'or sign in' };

type Say = (request: UpstreamRequest) => UpstreamAnswer | 'down';

const ann: Client = { username: 'ann', password: 'right', address: '192.0.2.1' };
const ben: Client = { ...ann, username: 'ben' };

describe('the door of a route that passes credentials on', () => {
  let clock: FakeClock;
  let asked: { readonly who: string; readonly request: UpstreamRequest }[];
  let attempts: { readonly user: string; readonly outcome: string }[];
  let say: (who: string) => Say;
  let memory: Map<string, { readonly value: string; readonly until: number }>;
  let memoryDown: boolean;
  let isHeld: boolean;
  let door: Passthrough;
  let route: Route;

  const upstream = (who: string): Upstream =>
    ({
      name: 'hub',
      async ask(request: UpstreamRequest) {
        asked.push({ who, request });
        const answer = say(who)(request);
        if (answer === 'down') throw new UpstreamError('hub', 'connect', 'hub: connection refused');
        return answer;
      },
    }) as unknown as Upstream;

  beforeEach(() => {
    clock = createFakeClock();
    asked = [];
    attempts = [];
    memory = new Map();
    memoryDown = false;
    isHeld = false;
    say = (who) => () => (who === 'ann' ? FOUND : HIDDEN);
    const key = (place: string, name: string): string => `${place} ${name}`;
    const whenUp = <T>(value: T): Promise<T> => (memoryDown ? Promise.reject(new Error('down')) : Promise.resolve(value));
    door = new Passthrough({
      clock,
      random: createSeededRandom(1),
      unowned: new Unowned(clock),
      records: {
        remembered: (place, name) => whenUp(memory.get(key(place, name))),
        remember: async (place, name, record) => void (await whenUp(memory.set(key(place, name), record))),
      },
      attempts: {
        async begin(user) {
          if (isHeld) throw new RegistryError('TOOMANYREQUESTS', 'too many wrong sign-ins');
          return { end: (outcome) => void attempts.push({ user, outcome }) };
        },
      },
    });
    const as = ({ username }: ClientCredentials): Balance => {
      const chain = [upstream(username)];
      return () => chain;
    };
    const nobody = [upstream('nobody')];
    route = {
      name: 'hub',
      order: () => nobody,
      passthrough: { as, place: 'https://hub.test/', proofMs: PROOF_MS },
      policy: { negativeTtlMs: NEGATIVE_MS },
    } as unknown as Route;
  });

  const entrance = (client: Client | undefined, over: Partial<Entrance> = {}): Entrance => ({
    route,
    registry: 'docker.io',
    repository: 'acme/app',
    kind: 'manifest',
    reference: 'latest',
    client,
    trace: newTrace('1'),
    ...over,
  });
  const enter = (client: Client | undefined, over: Partial<Entrance> = {}): Promise<Route> =>
    door.enter(entrance(client, over));
  /** Who may: `in`; who may not: the status and the code. */
  const tried = async (client: Client | undefined, over: Partial<Entrance> = {}): Promise<string> => {
    try {
      await enter(client, over);
      return 'in';
    } catch (error) {
      if (error instanceof RegistryError) return `${error.status} ${error.code}`;
      throw error;
    }
  };
  const questions = (): string[] => asked.map(({ who, request: { kind, method } }) => `${who} ${method} ${kind}`);

  test('a route without it is as it was', async () => {
    const plain = { ...route, passthrough: undefined };
    expect(await enter(undefined, { route: plain })).toBe(plain);
    expect(asked).toEqual([]);
  });

  test('the upstream is asked once for each client and repository, for as long as authttl says', async () => {
    expect([await tried(ann), await tried(ann, { kind: 'blob', reference: 'sha256:1' })]).toEqual(['in', 'in']);
    expect(questions()).toEqual(['ann HEAD manifest']);
    await clock.advance(PROOF_MS - 1);
    expect(await tried(ann)).toBe('in');
    expect(questions()).toHaveLength(1);
    await clock.advance(1);
    say = () => () => HIDDEN;
    expect(await tried(ann)).toBe('404 NAME_UNKNOWN');
    expect(await tried(ann, { repository: 'acme/other' })).toBe('404 NAME_UNKNOWN');
  });

  test('equal questions at one time are one', async () => {
    expect(await Promise.all([tried(ann), tried(ann), tried(ann)])).toEqual(['in', 'in', 'in']);
    expect(questions()).toHaveLength(1);
  });

  test('one client, another password, another repository: each is asked about', async () => {
    expect(await tried(ann)).toBe('in');
    say = (who) => () => (who === 'ann' ? { kind: 'denied' } : HIDDEN);
    expect(await tried({ ...ann, password: 'old' })).toBe('401 UNAUTHORIZED');
    expect(await tried(ann, { repository: 'acme/other' })).toBe('401 UNAUTHORIZED');
    expect(await tried(ann)).toBe('in');
  });

  test('who reads on is the client, and an upstream that refuses is believed at once', async () => {
    const entered = await enter(ann);
    expect(entered.asker).toMatch(/^[\w-]{43}$/);
    const [as] = entered.order('docker.io', 'tag');
    const request: UpstreamRequest = { ...asked[0]!.request, method: 'GET' };
    expect(await as!.ask(request, new AbortController().signal)).toBe(FOUND);
    expect(asked.at(-1)?.who).toBe('ann');
    say = () => () => ({ kind: 'denied' });
    expect(await as!.ask(request, new AbortController().signal)).toMatchObject({ kind: 'absent' });
    expect(await tried(ann)).toBe('401 UNAUTHORIZED');
  });

  test('a plain absence afterwards says nothing of who asks', async () => {
    const [as] = (await enter(ann)).order('docker.io', 'tag');
    say =
      () =>
      ({ kind }) =>
        kind === 'tags' ? FOUND : ABSENT;
    expect(await as!.ask(asked[0]!.request, new AbortController().signal)).toBe(ABSENT);
    expect(await tried(ann)).toBe('in');
  });

  test("who may not read any more, and is told 404, drops nobody's tag", async () => {
    const [as] = (await enter(ann)).order('docker.io', 'tag');
    say = () => () => ABSENT;
    expect(await as!.ask(asked[0]!.request, new AbortController().signal)).toMatchObject({ hint: expect.any(String) });
    expect(await tried(ann)).toBe('404 NAME_UNKNOWN');
  });

  test('what is not there is proved by the tags: a repository that one may read, or may not', async () => {
    say =
      (who) =>
      ({ kind }) =>
        who === 'ann' && kind === 'tags' ? FOUND : ABSENT;
    expect(await tried(ann)).toBe('in');
    expect(questions()).toEqual(['ann HEAD manifest', 'ann GET tags']);
    expect(await tried(ben)).toBe('404 NAME_UNKNOWN');
    expect(await tried(undefined)).toBe('401 UNAUTHORIZED');
  });

  test('a refusal is remembered for negativettl, for that client alone', async () => {
    expect([await tried(ben), await tried(ben)]).toEqual(['404 NAME_UNKNOWN', '404 NAME_UNKNOWN']);
    expect(questions()).toEqual(['ben HEAD manifest', 'ben GET tags', 'nobody HEAD manifest', 'nobody GET tags']);
    expect(await tried(ann)).toBe('in');
    say = () => () => FOUND;
    await clock.advance(NEGATIVE_MS);
    expect(await tried(ben)).toBe('in');
  });

  test('what anybody may read is entered as nobody, and remembered across restarts', async () => {
    say = (who) => () => (who === 'nobody' ? OPEN : { kind: 'denied' });
    const entered = await enter(ann);
    expect([entered.asker, await tried(undefined), await tried(ben)]).toEqual([undefined, 'in', 'in']);
    expect(questions().filter((one) => one.startsWith('nobody'))).toHaveLength(1);
    expect([...memory.keys()]).toEqual(['passthrough public docker.io/acme/app at https://hub.test/']);
    expect(JSON.stringify([...memory])).not.toContain('ann');
  });

  test('what opens to credentials of our own is not open to anybody', async () => {
    say = () => () => FOUND;
    expect(await tried(undefined)).toBe('401 UNAUTHORIZED');
  });

  test('an upstream that is down lets nobody in whom it did not know, and takes back nothing that was open', async () => {
    say = (who) => () => (who === 'ann' || who === 'nobody' ? OPEN : HIDDEN);
    expect(await tried(undefined)).toBe('in');
    say = () => () => 'down';
    await clock.advance(PROOF_MS);
    expect([await tried(undefined), await tried(ben)]).toEqual(['in', 'in']);
    expect([await tried(undefined, { repository: 'acme/b' }), await tried(ben, { repository: 'acme/b' })]).toEqual([
      '502 UNAVAILABLE',
      '502 UNAVAILABLE',
    ]);
    say = () => () => OPEN;
    expect(await tried(ben, { repository: 'acme/b' })).toBe('in');
  });

  test('what was open once and is not any more is not opened by trouble', async () => {
    say = () => () => OPEN;
    expect(await tried(undefined)).toBe('in');
    await clock.advance(PROOF_MS);
    say = () => () => HIDDEN;
    expect(await tried(undefined)).toBe('401 UNAUTHORIZED');
    await clock.advance(NEGATIVE_MS);
    say = () => () => 'down';
    expect(await tried(undefined)).toBe('502 UNAVAILABLE');
  });

  test('what was open once is looked at again when somebody is let in, so that no trouble opens what they bring', async () => {
    say = () => () => OPEN;
    expect(await tried(undefined)).toBe('in');
    await clock.advance(PROOF_MS);
    say = (who) => () => (who === 'ann' ? FOUND : HIDDEN);
    expect(await tried(ann)).toBe('in');
    await clock.advance(NEGATIVE_MS);
    say = () => () => 'down';
    expect(await tried(undefined)).toBe('502 UNAVAILABLE');
  });

  test('what one place says is not believed of another to which the route leads since', async () => {
    say = (who) => () => (who === 'ann' ? FOUND : HIDDEN);
    expect(await tried(ann)).toBe('in');
    say = () => () => OPEN;
    expect(await tried(undefined, { repository: 'acme/b' })).toBe('in');
    route = { ...route, passthrough: { ...route.passthrough!, place: 'https://other.test/' } };
    say = () => () => HIDDEN;
    expect([await tried(ann), await tried(undefined, { repository: 'acme/b' })]).toEqual([
      '404 NAME_UNKNOWN',
      '401 UNAUTHORIZED',
    ]);
    say = () => () => 'down';
    await clock.advance(NEGATIVE_MS);
    expect(await tried(undefined, { repository: 'acme/b' })).toBe('502 UNAVAILABLE');
  });

  test('who was wrong too often still has what anybody may read, and is told to wait for the rest', async () => {
    isHeld = true;
    say = () => () => OPEN;
    expect(await tried(ben)).toBe('in');
    say = () => () => HIDDEN;
    expect(await tried(ben, { repository: 'acme/b' })).toBe('429 TOOMANYREQUESTS');
    expect(questions().filter((one) => one.startsWith('ben'))).toEqual([]);
  });

  test('a rate limit is no refusal', async () => {
    say = () => () => ({ kind: 'limited', retryAfterSeconds: 7 });
    expect(await tried(ann)).toBe('429 TOOMANYREQUESTS');
  });

  test('metadata that are down cost a question', async () => {
    memoryDown = true;
    say = () => () => OPEN;
    expect([await tried(undefined), await tried(undefined)]).toEqual(['in', 'in']);
    expect(questions()).toEqual(['nobody HEAD manifest', 'nobody HEAD manifest']);
  });

  test('wrong passwords are counted, those of who was right before are not', async () => {
    say = (who) => () => (who === 'ann' ? FOUND : { kind: 'denied' });
    await tried(ann);
    await tried(ann, { repository: 'acme/b' });
    await tried(ben);
    say = () => () => 'down';
    await tried({ ...ben, password: 'other' });
    expect(attempts).toEqual([
      { user: 'ann at docker.io', outcome: 'right' },
      { user: 'ben at docker.io', outcome: 'wrong' },
      { user: 'ben at docker.io', outcome: 'unknown' },
    ]);
  });

  test('an old password that comes with every pull is one wrong one', async () => {
    say = () => () => ({ kind: 'denied' });
    for (const repository of ['acme/a', 'acme/b', 'acme/c']) await tried(ben, { repository });
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['wrong', 'unknown', 'unknown']);
  });

  test('what another registry takes for right, or answers without looking, makes no guess less of one', async () => {
    say = () => () => FOUND;
    expect(await tried(ben, { registry: 'evil.test' })).toBe('in');
    say = () => () => OPEN;
    expect(await tried(ben, { repository: 'acme/open' })).toBe('in');
    say = () => () => ABSENT;
    await tried(ben, { repository: 'acme/none' });
    say = () => () => ({ kind: 'denied' });
    await tried(ben);
    expect(attempts).toEqual([
      { user: 'ben at evil.test', outcome: 'right' },
      { user: 'ben at docker.io', outcome: 'unknown' },
      { user: 'ben at docker.io', outcome: 'unknown' },
      { user: 'ben at docker.io', outcome: 'wrong' },
    ]);
  });

  test('a clock that goes back does not keep what was open for longer', async () => {
    say = () => () => OPEN;
    expect(await tried(undefined)).toBe('in');
    clock.jump(-3_600_000);
    expect(await tried(undefined)).toBe('in');
    expect(questions()).toHaveLength(2);
  });

  test('questions carry the mirrors through which they came', async () => {
    const trace = newTrace('1');
    trace.via = ['entrepot-0123456789abcdef'];
    await tried(ann, { trace });
    expect(asked[0]?.request.via).toEqual(['entrepot-0123456789abcdef']);
  });
});
