import { afterAll, vi } from 'vitest';

/**
 * Many files run in such a process, one after the other, and what one leaves behind is there for all that follow: they get dear, or
 * fail for what is not theirs. So it fails the file that left it: work that goes on, timers, open files and sockets, listeners on
 * the process, and globals that are not what they were.
 */
const globals = globalsNow();
const timers = watchTimers();
const counts = countsNow();

afterAll(async () => {
  timers.unwatch();
  // The runner does so before each test, and not behind the last.
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  const left = await leftBehind();
  if (left.length > 0) throw new Error(`left behind for the files that follow: ${left.join(', ')}`);
});

/** How long what is closing may take, on a machine that is busy with other things. */
const CLOSING_MS = 3_000;

async function leftBehind(): Promise<string[]> {
  const until = performance.now() + CLOSING_MS;
  let more: string[] = [];
  do {
    await new Promise((resolve) => setImmediate(resolve));
    const now = countsNow();
    more = Array.from(now.keys()).filter((key) => now.get(key)! > (counts.get(key) ?? 0));
  } while (more.length > 0 && performance.now() < until);
  const now = globalsNow();
  return [...more, ...Array.from(globals.keys()).filter((key) => !Object.is(now.get(key), globals.get(key)))];
}

/** How many there are of each resource, timer and listener. */
function countsNow(): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  const count = (what: string, more = 1): unknown => found.set(what, (found.get(what) ?? 0) + more);
  // Of timers the runner has its own, which come and go.
  for (const name of process.getActiveResourcesInfo()) if (name !== 'Timeout') count(name);
  // A connection that fetch keeps for a while has timers that keep no process alive and do nothing but end it.
  const own = process.env['ENTREPOT_TIMERS'] === 'left' ? /undici|src.system.clock/ : /undici/;
  for (const setter of timers.live()) {
    const setAt = placeOf(setter);
    if (!own.test(setAt)) count(`a timer, ${setAt}`);
  }
  // Libraries add listeners to the end of the process as they are loaded.
  for (const event of process.eventNames()) if (event !== 'exit') count(`on ${String(event)}`, process.listenerCount(event));
  return found;
}

/** What each global function is, and what else holds for the whole process. */
function globalsNow(): ReadonlyMap<string, unknown> {
  const found = new Map<string, unknown>([
    ['the working directory', process.cwd()],
    ['the environment', JSON.stringify(environment())],
    ['process.nextTick', process.nextTick],
    ['Error.stackTraceLimit', Error.stackTraceLimit],
  ]);
  for (const [name, owner] of Object.entries({ globalThis, Date, Math, performance, Error })) {
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
      if (typeof value === 'function') found.set(`${name}.${key}`, value);
    }
  }
  return found;
}

/** Without what the runner and the library of Amazon set; in some order, since a variable that was gone for a while comes last. */
function environment(): readonly (readonly [string, string | undefined])[] {
  const all = Object.entries(process.env).filter(([name]) => !/^(VITEST|AWS_SDK_JS_)/.test(name));
  return all.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Where a timer was set: behind the calls that noted it. */
function placeOf({ stack = '' }: Error): string {
  return stack.split('\n').at(3)?.trim() ?? '';
}

/** Made for each timer: of its stack three calls are enough. */
function newSetter(): Error {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 3;
  const setter = new Error('set here');
  Error.stackTraceLimit = limit;
  return setter;
}

/**
 * `live` has an error made where each timer was set that has neither fired nor been cleared, of those set by the global functions. Its
 * stack is asked for at the end alone: the runner writes it out with source maps, which cost a third of what files with many timers did.
 */
function watchTimers() {
  const real = { setTimeout, setInterval, clearTimeout, clearInterval };
  const live = new Map<unknown, Error>();
  const watched = (set: typeof setTimeout | typeof setInterval) => {
    const keep = set === real.setInterval;
    const watching = (callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
      const timer = set(() => (keep || live.delete(timer), callback(...args)), ms);
      live.set(timer, newSetter());
      return timer;
    };
    // With what Node's promisify looks for.
    return Object.assign(watching, set);
  };
  const cleared = (clear: typeof clearTimeout) => (timer: Parameters<typeof clear>[0]) => (live.delete(timer), clear(timer));
  Object.assign(globalThis, {
    setTimeout: watched(setTimeout),
    setInterval: watched(setInterval),
    clearTimeout: cleared(clearTimeout),
    clearInterval: cleared(clearInterval),
  });
  return { live: () => live.values(), unwatch: () => Object.assign(globalThis, real) };
}
