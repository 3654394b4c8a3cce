import type { Clock, Timer } from '../system/clock.ts';
import { sleep } from '../system/clock.ts';
import type { WorkerProcess } from '../system/worker-processes.ts';
import { addCounted, type MetricShare } from './counted.ts';
import type { WorkersEvent } from './events.ts';
import { createPeer, PeerGone, type Answers, type Peer } from './peer.ts';
import { createRestarts } from './restarts.ts';
import type { Order } from './station.ts';

export interface PrimaryOptions {
  /** How many workers; at least 1. */
  readonly count: number;
  readonly clock: Clock;
  readonly start: () => WorkerProcess;
  /** What a worker is told as it starts, as it stands then. */
  readonly order: () => unknown;
  /** Whole lines of the workers' output. */
  readonly write: (lines: string) => void;
  readonly report: (event: WorkersEvent) => void;
  /** What workers may ask for beside what is answered here. */
  readonly answers: Answers;
  /** Lines that nobody read. */
  readonly dropped: () => number;
  /** What this process shows of itself beside what its workers do. */
  readonly counted: () => readonly MetricShare[];
  /** Told when a worker's process has ended, whatever the reason. */
  readonly onEnd?: (worker: number) => void;
}

/** One worker, as `status` tells of it. */
export interface WorkerStatus {
  readonly worker: number;
  readonly pid: number;
  /** Ms since the epoch. */
  readonly started: number;
  readonly state: 'starting' | 'serving' | 'ending';
  /** Does what one process does for all. */
  readonly onDuty: boolean;
}

/** Workers that serve as one. */
export interface Primary {
  /** Resolves when all listen, to where; rejects with what kept one from it, all others ended. */
  start(): Promise<Readonly<Record<string, string>>>;
  /** Has all workers take `order`, or none: rejects with what one has against it. Yields the keys that wait for a restart. */
  reload(order: unknown): Promise<readonly string[]>;
  /** Resolves when all have ended what they did. */
  drain(): Promise<void>;
  /** Resolves, with the reason, when workers end again and again and no more are started. */
  readonly failed: Promise<string>;
  status(): readonly WorkerStatus[];
  /** Workers that ended without having been told to, since the start. */
  restarted(): number;
}

/** Who does not answer a question of another worker within this is left out. */
const ANSWER_MS = 5_000;

interface Place {
  readonly worker: number;
  readonly process: WorkerProcess;
  readonly peer: Peer;
  readonly started: number;
  readonly ended: Promise<void>;
  state: WorkerStatus['state'];
  /** It said that it ends because somebody told it to. */
  leaving: boolean;
  /** Why it could not start, in its own words. */
  fault: string | undefined;
  /** What it had counted when somebody last asked. */
  counted: readonly MetricShare[];
  readonly listening: Promise<Readonly<Record<string, string>>>;
}

/** Starts workers, replaces those that end, and passes on what they ask of each other. It looks at no request itself. */
export function createPrimary(options: PrimaryOptions): Primary {
  const { count, clock, report } = options;
  const places = new Map<number, Place>();
  const restarts = createRestarts(count);
  const pauses = new Set<Timer>();
  let stopping = false;
  let begun = false;
  let duty: Place | undefined;
  let departed: readonly MetricShare[] = [];
  let ended = 0;
  const started = clock.now();
  /** While a configuration is being taken nobody starts by the former one. */
  let reloading: Promise<unknown> = Promise.resolve();
  let fail: (reason: string) => void = () => undefined;
  const failed = new Promise<string>((resolve) => (fail = resolve));
  let tellAll: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (tellAll = resolve));

  const serving = (): Place[] => [...places.values()].filter(({ state }) => state === 'serving');

  function startOne(worker: number): Place {
    const process = options.start();
    let tellListening: (addresses: Readonly<Record<string, string>>) => void = () => undefined;
    let tellFault: (error: Error) => void = () => undefined;
    const listening = new Promise<Readonly<Record<string, string>>>((resolve, reject) => {
      [tellListening, tellFault] = [resolve, reject];
    });
    // Whoever waits for it hears of it; a later one's end is told of by itself.
    listening.catch(() => undefined);
    const answers: Answers = {
      ...options.answers,
      begin: (): Order => ({ worker, count, order: options.order() }),
      listening(addresses: Readonly<Record<string, string>>) {
        place.state = 'serving';
        appoint();
        tellListening(addresses);
        if (serving().length === count) tellAll();
      },
      fault: (message: string) => void (place.fault = message),
      leaving() {
        [place.leaving, place.state] = [true, 'ending'];
        // It may take as long as what it answers.
        if (duty === place) duty = undefined;
        appoint();
      },
      gather: ({ call, params }: { readonly call: string; readonly params: unknown }) => gather(place, call, params),
      tell({ call, params }: { readonly call: string; readonly params: unknown }) {
        for (const other of serving()) if (other !== place) other.peer.tell(call, params);
      },
      metrics: (own: readonly MetricShare[]) => metrics(place, own),
      workers: () => ({ workers: status(), restarted: ended, dropped: options.dropped(), started }),
    };
    let tellEnded: () => void = () => undefined;
    const place: Place = {
      worker,
      process,
      peer: createPeer(process, withWorker(answers, worker)),
      started: clock.now(),
      ended: new Promise((resolve) => (tellEnded = resolve)),
      state: 'starting',
      leaving: false,
      fault: undefined,
      counted: [],
      listening,
    };
    process.onOutput(wholeLines(options.write));
    process.onEnd((how) => {
      tellFault(new Error(place.fault ?? `worker ${worker} ended as it started (${how})`));
      onEnd(place, how);
      tellEnded();
    });
    places.set(worker, place);
    return place;
  }

  function onEnd(place: Place, how: number | string): void {
    const { worker, process, leaving, fault } = place;
    places.delete(worker);
    departed = addCounted([departed, place.counted]);
    options.onEnd?.(worker);
    if (duty === place) duty = undefined;
    if (stopping || !begun) return;
    for (const other of serving()) other.peer.tell('ended', worker);
    appoint();
    const pauseMs = leaving ? 0 : restarts.ended(clock.monotonic());
    if (!leaving) ended += 1;
    report({ kind: 'worker-ended', worker, pid: process.pid, how, leaving, fault, pauseMs });
    if (pauseMs === undefined) return fail(fault ?? `the last was ended by ${how}`);
    const timer = clock.after(pauseMs, () => {
      pauses.delete(timer);
      void reloading.then(() => {
        if (stopping) return;
        const next = startOne(worker);
        next.listening.then(
          () => report({ kind: 'worker-started', worker, pid: next.process.pid }),
          () => undefined, // Its end is told.
        );
      });
    });
    pauses.add(timer);
    return undefined;
  }

  /** One of those that serve has the duties of all. */
  function appoint(): void {
    const [first] = serving();
    if (duty !== undefined || first === undefined || stopping) return;
    duty = first;
    first.peer.tell('duty');
  }

  /** What the others answer, whoever has the duties first: of what they share, it knows most. */
  async function gather(asker: Place, call: string, params: unknown): Promise<readonly unknown[]> {
    const others = serving().filter((other) => other !== asker);
    others.sort((left, right) => Number(right === duty) - Number(left === duty));
    const answers = await Promise.all(others.map((other) => answerOf(other, call, params)));
    return answers.flatMap((answer) => (answer === undefined ? [] : [answer.value]));
  }

  /** `undefined` where none came in time. */
  async function answerOf({ peer }: Place, call: string, params: unknown): Promise<{ readonly value: unknown } | undefined> {
    const late = new AbortController();
    const asked = peer.ask(call, params).then(
      (value) => ({ value }),
      () => undefined, // It has ended, or is about to.
    );
    const tooLate = sleep(clock, ANSWER_MS, late.signal).then(
      () => undefined,
      () => undefined,
    );
    const answer = await Promise.race([asked, tooLate]);
    late.abort(new Error('answered'));
    return answer;
  }

  async function metrics(asker: Place, own: readonly MetricShare[]): Promise<unknown> {
    asker.counted = own;
    const others = serving().filter((other) => other !== asker);
    const shares = await Promise.all(
      others.map(async (other) => {
        const answer = await answerOf(other, 'metrics', undefined);
        if (answer !== undefined) other.counted = answer.value as readonly MetricShare[];
        return { share: other.counted, onDuty: other === duty };
      }),
    );
    const all = [{ share: own, onDuty: asker === duty }, ...shares];
    // Whoever has the duties knows what all share.
    all.sort((left, right) => Number(right.onDuty) - Number(left.onDuty));
    return [...all.map(({ share }) => share), departed, options.counted()];
  }

  function status(): readonly WorkerStatus[] {
    return [...places.values()]
      .map((place) => ({
        worker: place.worker,
        pid: place.process.pid,
        started: place.started,
        state: place.state,
        onDuty: place === duty,
      }))
      .toSorted((left, right) => left.worker - right.worker);
  }

  async function stop(): Promise<void> {
    stopping = true;
    for (const timer of pauses) timer.cancel();
    const all = [...places.values()];
    for (const { state, peer, process } of all) {
      // One that has not begun to serve has nothing to end.
      if (state === 'starting') process.kill();
      else peer.tell('drain');
    }
    await Promise.all(all.map((place) => place.ended));
  }

  async function takeOrder(order: unknown): Promise<readonly string[]> {
    const all = serving();
    const prepared = await Promise.allSettled(all.map(({ peer }) => peer.ask('prepare', order)));
    const refusal = prepared.find((one) => one.status === 'rejected' && !(one.reason instanceof PeerGone));
    if (refusal?.status === 'rejected') {
      for (const { peer } of all) peer.tell('abandon');
      throw refusal.reason;
    }
    const committed = await Promise.allSettled(all.map(({ peer }) => peer.ask('commit')));
    // What has said yes and cannot must not go on with the former one: its successor starts with this one.
    committed.forEach((one, index) => one.status === 'rejected' && all[index]?.process.kill());
    const taken = committed.find((one) => one.status === 'fulfilled');
    return (taken?.status === 'fulfilled' ? taken.value : []) as readonly string[];
  }

  return {
    failed,
    status,
    restarted: () => ended,
    async start() {
      try {
        // The first makes what all share: what keeps it from starting keeps all, and is said once.
        const addresses = await startOne(1).listening;
        begun = true;
        for (let worker = 2; worker <= count; worker += 1) startOne(worker);
        await Promise.race([
          all,
          failed.then((reason) => {
            throw new Error(`worker processes ended again and again: ${reason}`);
          }),
        ]);
        return addresses;
      } catch (error) {
        await stop();
        throw error;
      }
    },
    reload(order) {
      // Those that are about to serve would serve by the former one.
      const starting = [...places.values()].filter(({ state }) => state === 'starting');
      const settled = starting.map((place) => Promise.race([place.listening.catch(() => undefined), place.ended]));
      const taking = Promise.all(settled).then(() => takeOrder(order));
      reloading = taking.catch(() => undefined);
      return taking;
    },
    drain: stop,
  };
}

/** Who asks is told to whoever answers. */
function withWorker(answers: Answers, worker: number): Answers {
  return Object.fromEntries(
    Object.entries(answers).map(([call, act]) => [
      call,
      (params: unknown) => (act as (...given: unknown[]) => unknown)(params, worker),
    ]),
  );
}

/** Hands on what came up to the last end of a line: what two processes write at once must not run into each other. */
function wholeLines(write: (lines: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const end = text.lastIndexOf('\n') + 1;
    if (end > 0) write(rest + text.slice(0, end));
    rest = end > 0 ? text.slice(end) : rest + text;
  };
}
