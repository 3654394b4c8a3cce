import type { PullCount, Records, TagMove } from '../metadata/records.ts';
import { sleep, type Clock, type Timer } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import { splitHolder } from './holder.ts';
import type { Route, Router } from './route.ts';

/** A few times a day; drawn anew each time, so that many servers do not ask at once. */
const INTERVAL_MS = { min: 4 * 3_600_000, max: 8 * 3_600_000 };

/** The first time, since a server that is restarted every night would otherwise never look. */
const FIRST_MS = { min: 5 * 60_000, max: 60 * 60_000 };

/** A tag that nobody asked for within this time is nobody's concern. */
const IN_USE_MS = 14 * 86_400_000;

/** Questions of one round; a second lies between any two. */
const ASKED_MAX = 5000;
const PAUSE_MS = 1000;

/** An upstream that has so much of its concurrency in use is left alone: clients come first. */
const BUSY_MAX = 0.5;

const PAGE = 200;

export interface WatchDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly records: Records;
  readonly router: Router;
  /** Asks upstream by HEAD what the tag points to, and notes where it moved. */
  readonly look: (name: Watched, signal: AbortSignal) => Promise<unknown>;
}

export interface Watched {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
}

/**
 * Asks for the tags that are in use, on routes whose answers depend on the history of tags (`cooldown`, `asof`): so that a move is
 * seen when it happens, and not when somebody pulls next. One question at a time, none where the route keeps what is left of the rate
 * limit, or the upstream is down or busy; what a round leaves out waits for the next.
 */
export function createWatch(deps: WatchDeps): { start(): void; stop(): void } {
  const life = new AbortController();
  let timer: Timer | undefined;
  const wait = ({ min, max }: typeof INTERVAL_MS): void => {
    if (life.signal.aborted) return;
    timer = deps.clock.after(min + deps.random.fraction() * (max - min), () => void round());
  };
  const round = async (): Promise<void> => {
    // Metadata that cannot be asked now: the next round will.
    await watchOnce(deps, life.signal).catch(() => undefined);
    wait(INTERVAL_MS);
  };
  return {
    start: () => wait(FIRST_MS),
    stop() {
      life.abort(new Error('the server ends'));
      timer?.cancel();
    },
  };
}

/** One round; yields how many tags were asked for. */
export async function watchOnce(deps: WatchDeps, signal: AbortSignal): Promise<number> {
  let asked = 0;
  for await (const watched of inUse(deps, signal)) {
    if (signal.aborted || asked === ASKED_MAX) break;
    if (!mayAsk(deps.router(watched), watched.registry)) continue;
    await deps.look(watched, signal).catch(() => undefined); // Its tag is asked for in the next round.
    asked += 1;
    await sleep(deps.clock, PAUSE_MS);
  }
  return asked;
}

async function* inUse({ records, router, clock }: WatchDeps, signal: AbortSignal): AsyncGenerator<Watched> {
  let after: string | undefined;
  for (;;) {
    const page = await records.repositories(after, PAGE);
    for (const holder of page) {
      const name = splitHolder(holder);
      if (!isWatched(router(name)) || (await records.owner(holder)) !== undefined) continue;
      for await (const tag of tagsInUse(records, holder, clock.now() - IN_USE_MS)) {
        if (signal.aborted) return;
        yield { ...name, tag };
      }
    }
    if (page.length < PAGE) return;
    after = page.at(-1);
  }
}

/** By their newest moves, which whoever asks for a tag that is not served yet leaves, and by their pulls. */
async function* tagsInUse(records: Records, holder: string, since: number): AsyncGenerator<string> {
  let last: string | undefined;
  for await (const { tag, move } of records.moves(holder, undefined)) {
    if (tag === last) continue;
    last = tag;
    if (move.deleted !== true && isRecent(move, await records.tagPulls(holder, tag), since)) yield tag;
  }
}

function isRecent(move: TagMove, pulls: PullCount | undefined, since: number): boolean {
  return move.at >= since || (pulls?.last ?? 0) >= since;
}

function isWatched(route: Route | undefined): boolean {
  if (route === undefined || route.deny || route.alone || route.policy.offline) return false;
  return route.policy.cooldownMs > 0 || route.policy.asof !== undefined;
}

function mayAsk(route: Route | undefined, registry: string): route is Route {
  if (route === undefined || !isWatched(route) || route.policy.limits.isLow(registry)) return false;
  const [first] = route.order(registry, 'tag');
  if (first === undefined) return false;
  const { up, busy, budget } = first.standing(registry);
  return up && busy < BUSY_MAX && budget !== 0;
}
