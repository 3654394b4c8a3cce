import type { Clock } from '../system/clock.ts';
import type { Ask } from './ask.ts';
import type { Memory, Remembered } from './with-quota.ts';
import type { UpstreamRequest } from './upstream.ts';

/** Without a Retry-After: at most one request a second (R11), and less often while nothing changes. */
const PAUSE_SECONDS_FIRST = 1;
const PAUSE_SECONDS_UNSAID_MAX = 60;
/**
 * Docker Hub may ask for hours, but what was spent may be granted again any time, and clients would be refused all that
 * while. So we look after a minute, then after two, four … whatever was asked for: a few looks an hour cost nobody anything.
 */
const LOOK_SECONDS_FIRST = 60;
const PAUSE_SECONDS_MAX = 15 * 60;

/** Shorter ones are over before a restart is. */
const KEEP_SECONDS_MIN = 5;
/** How often it is looked up what was remembered: another node may have met the 429. */
const LEARN_EVERY_MS = 5000;
/** How long that may take before the question is asked all the same. */
const LEARN_MS_MAX = 500;
/** Clocks of two nodes may differ by this. */
const SKEW_MS = 60_000;

type Kind = UpstreamRequest['kind'];

/** What a 429 asks to be left alone, and for how long. */
export interface Pause {
  /** Milliseconds until it may be asked for that again; 0: now. */
  leftMs(kind: Kind): number;
  /** A 429. Yields the seconds until it is asked again; each one in a row makes the next wait longer. */
  begin(kind: Kind, seconds: number | undefined): number;
  /** Any other answer. */
  end(kind: Kind): void;
  /** Looks, now and then, for a pause that outlived a restart or that another node began. Never rejects. */
  learn(kind: Kind): Promise<void> | undefined;
}

export interface PauseOptions {
  readonly clock: Clock;
  readonly memory: Memory;
  /** Under which it is remembered: whose 429 it was. */
  readonly key: string;
}

interface State {
  until: number;
  inRow: number;
  learnAt: number;
  learning: Promise<void> | undefined;
}

export function createPause({ clock, memory, key }: PauseOptions): Pause {
  const states = new Map<Kind, State>();
  const stateOf = (kind: Kind): State => {
    const state = states.get(kind) ?? { until: 0, inRow: 0, learnAt: 0, learning: undefined };
    states.set(kind, state);
    return state;
  };
  const isOver = (state: State): boolean => clock.monotonic() >= state.until;

  const keep = async (kind: Kind, seconds: number): Promise<void> => {
    const now = clock.now();
    try {
      await memory.keep(`pause ${key} ${kind}`, { value: String(now), until: now + seconds * 1000 });
    } catch {
      // This process knows it all the same.
    }
  };
  const recall = async (kind: Kind, state: State): Promise<void> => {
    try {
      const record = await soon(clock, memory.recall(`pause ${key} ${kind}`));
      const leftMs = record === undefined ? 0 : remembered(record, clock.now());
      if (leftMs <= 0) return;
      state.until = Math.max(state.until, clock.monotonic() + leftMs);
      state.inRow = Math.max(state.inRow, 1);
    } catch {
      // Not to be found out: the upstream says it again.
    }
  };

  return {
    leftMs: (kind) => Math.max(0, (states.get(kind)?.until ?? 0) - clock.monotonic()),
    begin(kind, seconds) {
      const state = stateOf(kind);
      // Those who asked at the same time all hear it.
      if (isOver(state)) state.inRow++;
      const wait = Math.max(waitSeconds(state.inRow, seconds), Math.ceil((state.until - clock.monotonic()) / 1000));
      state.until = Math.max(state.until, clock.monotonic() + wait * 1000);
      if (wait >= KEEP_SECONDS_MIN) void keep(kind, wait);
      return wait;
    },
    end(kind) {
      const state = states.get(kind);
      if (state !== undefined && isOver(state)) state.inRow = 0;
    },
    learn(kind) {
      const state = stateOf(kind);
      if (clock.monotonic() < state.learnAt) return state.learning;
      state.learnAt = clock.monotonic() + LEARN_EVERY_MS;
      state.learning = recall(kind, state).finally(() => (state.learning = undefined));
      return state.learning;
    },
  };
}

function waitSeconds(inRow: number, said: number | undefined): number {
  const doubled = 2 ** Math.min(inRow - 1, 10);
  if (said === undefined) return Math.min(PAUSE_SECONDS_FIRST * doubled, PAUSE_SECONDS_UNSAID_MAX);
  return Math.max(PAUSE_SECONDS_FIRST, Math.min(said, LOOK_SECONDS_FIRST * doubled, PAUSE_SECONDS_MAX));
}

/** Milliseconds that are left; 0 where a clock has jumped since, so that nothing is paused for ever (R34). */
function remembered({ value, until }: Remembered, now: number): number {
  const begun = Number(value);
  const isSane = begun <= now + SKEW_MS && until - begun <= PAUSE_SECONDS_MAX * 1000;
  return isSane ? until - now : 0;
}

async function soon<T>(clock: Clock, answer: Promise<T> | T): Promise<T | undefined> {
  let cancel = (): void => undefined;
  const late = new Promise<undefined>((resolve) => {
    const timer = clock.after(LEARN_MS_MAX, () => resolve(undefined));
    cancel = () => timer.cancel();
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    cancel();
  }
}

/** Questions are answered `limited` from here until the upstream may be asked again. */
export function unlessPaused(ask: Ask, pause: Pause): Ask {
  return async (request, signal) => {
    await pause.learn(request.kind);
    const leftMs = pause.leftMs(request.kind);
    return leftMs > 0 ? { kind: 'limited', retryAfterSeconds: Math.ceil(leftMs / 1000) } : await ask(request, signal);
  };
}

/** After a 429, questions of that kind wait; whoever hears it is told how long. */
export function withPause(ask: Ask, pause: Pause): Ask {
  /** What a GET was refused. HEADs are free at such a registry, and that one is answered does not say that there is more. */
  const spent = new Set<Kind>();
  return unlessPaused(async (request, signal) => {
    const answer = await ask(request, signal);
    const { kind, method } = request;
    if (answer.kind === 'limited') {
      if (method === 'GET') spent.add(kind);
      return { ...answer, retryAfterSeconds: pause.begin(kind, answer.retryAfterSeconds) };
    }
    if (method === 'GET') spent.delete(kind);
    if (!spent.has(kind)) pause.end(kind);
    return answer;
  }, pause);
}
