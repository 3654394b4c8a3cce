import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Answer, Answers } from './answer.ts';
import { furtherTries, isPassedOver, isWrong, longestMs, mayBeWrong, promiseOf, worthOf } from './oracle.ts';
import { TIMEOUT, build, type House, type Seen } from './play.ts';
import { scheduleText, wishText, type ObjectName, type Schedule } from './schedule.ts';

export interface Verdict {
  /** Each breach of what was promised, as a sentence. */
  readonly faults: readonly string[];
  readonly seen: readonly Seen[];
  readonly resumes: number;
  /** This process stood still for so long that limits may have run out for that alone: nothing was shown. */
  readonly isVoid: boolean;
}

/** How often a schedule is played again that showed nothing. */
const VOID_MAX = 5;

/** Plays a schedule and says what was not as it must be. */
export async function judge(schedule: Schedule): Promise<Verdict> {
  let verdict = await judgeOnce(schedule);
  for (let again = 0; again < VOID_MAX && verdict.isVoid && verdict.faults.length > 0; again += 1)
    verdict = await judgeOnce(schedule);
  return verdict;
}

async function judgeOnce(schedule: Schedule): Promise<Verdict> {
  const lag = monitorEventLoopDelay({ resolution: 10 });
  lag.enable();
  const house = await build(schedule);
  try {
    const seen: Seen[] = [];
    for (const wishes of schedule.rounds) {
      seen.push(...(await Promise.all(wishes.map((wish) => house.ask(wish)))));
    }
    const faults = [
      ...seen.flatMap((one) => faultsOf(schedule, one, promiseOf(schedule, one.wish.object) === 'first')),
      ...neglected(schedule, house, seen),
    ];
    for (const one of seen.filter(({ got }) => got === 'cut' || got === 'refused')) {
      let again = await house.ask(one.wish);
      for (let more = furtherTries(schedule, one.wish.object); more > 0 && again.got !== 'whole'; more -= 1)
        again = await house.ask(one.wish);
      const must = promiseOf(schedule, one.wish.object) !== 'nothing';
      faults.push(...faultsOf(schedule, again, must).map((fault) => `asked again: ${fault}`));
      seen.push(again);
    }
    const resumes = (await house.server.metrics()).sum('entrepot_upstream_resumes_total');
    const isVoid = lag.max / 1e6 > Math.min(...Object.values(TIMEOUT)) / 2;
    return { faults: faults.length === 0 ? [] : [...faults, ...told(house)], seen, resumes, isVoid };
  } finally {
    lag.disable();
    await house.close();
  }
}

function faultsOf(schedule: Schedule, { wish, got, ms, status, detail }: Seen, must: boolean): string[] {
  const what = `${wishText(wish)}: ${status}, ${got} after ${Math.round(ms)} ms: ${detail}`;
  const limitMs = longestMs(schedule, Math.max(...Object.values(TIMEOUT)));
  return [
    ...(got === 'wrong' && !mayBeWrong(schedule, wish) ? [`a complete wrong body. ${what}`] : []),
    ...(must && got !== 'whole' && got !== 'wrong' ? [`it could have been completed. ${what}`] : []),
    ...(ms > limitMs ? [`longer than ${limitMs} ms. ${what}`] : []),
  ];
}

/**
 * Nobody is refused while there is somebody left to ask: since the last body that brought something, each upstream was asked
 * once more. Not to be told from outside where questions are asked side by side or twice, or where ranges pass a fill by.
 */
function neglected(schedule: Schedule, house: House, seen: readonly Seen[]): string[] {
  if (schedule.hedge || schedule.parallel > 1 || schedule.chain.some(({ signIn }) => signIn)) return [];
  return (['manifest', 'blob0', 'blob1'] as const).flatMap((object) => {
    const wished = seen.filter(({ wish }) => wish.object === object);
    const plain = wished.every(({ wish }) => wish.range === undefined && wish.method === 'GET');
    // Of wrong bytes a client is told at once, while the others are still being asked.
    if (!plain || isWrong(schedule, object) || wished.every(({ got }) => got === 'whole')) return [];
    return forgotten(schedule, house, object).map((name) => `${object} failed, and ${name} was not asked at the end`);
  });
}

function forgotten(schedule: Schedule, { upstreams, manifest }: House, object: ObjectName): string[] {
  const reference =
    object === 'manifest' ? (schedule.by === 'tag' ? 'v' : manifest.digest) : schedule.blobs[object === 'blob0' ? 0 : 1].digest;
  const asked = schedule.chain.map((plan, at) =>
    upstreams[at]!.requests.filter((request) => request.method === 'GET' && request.reference === reference).map(
      (request, nth) => ({
        at: request.at,
        worth: plan.mode === 'up' ? worthOf(nthOf(plan.answers[object], nth)) : 'doubtful',
      }),
    ),
  );
  // Of a manifest nothing is gone on with: whatever breaks has brought nothing.
  const brought = object === 'manifest' ? [] : asked.flat().filter(({ worth }) => worth === 'some');
  const lastAt = Math.max(0, ...brought.map(({ at }) => at));
  return schedule.chain.flatMap((plan, at) => {
    const excused = plan.mode !== 'up' || isPassedOver(plan);
    return excused || asked[at]!.some((one) => one.at > lastAt) ? [] : [`up${at}`];
  });
}

function nthOf(answers: Answers, nth: number): Answer {
  return answers[nth] ?? answers.at(-1)!;
}

/** What was asked of whom, in order, and what the server said of it. */
function told({ server, upstreams, signer }: House): string[] {
  const requests = [...upstreams.entries(), ['signer', signer] as const]
    .flatMap(([name, { requests: all }]) => all.map((request) => ({ name, request })))
    .toSorted((one, other) => one.request.at - other.request.at)
    .map(({ name, request: { at, method, kind, reference, range, status, sent } }) => {
      const asked = `${method} ${kind} ${reference.slice(0, 24)} from ${range?.from ?? 0}`;
      return `  ${Math.round(at)} ms: ${typeof name === 'number' ? 'up' : ''}${name} ${asked}: ${status ?? 'nothing'}, ${sent} bytes`;
    });
  const records = server.records
    .filter(({ msg }) => TOLD.has(msg))
    .map(({ msg, upstream, reason, error, from }) => `  ${msg}: ${JSON.stringify({ upstream, reason, error, from })}`);
  return [...requests, ...records];
}

const TOLD: ReadonlySet<string> = new Set(['upstream error', 'resumed', 'verify failed', 'upstream down', 'upstream up']);

export function failureText(schedule: Schedule, faults: readonly string[]): string {
  return [scheduleText(schedule), ...faults, `replay: SEED=${schedule.seed} npx vitest run test/faults/schedules.test.ts`].join(
    '\n',
  );
}
