import type { Channel, WorkerProcess } from '../../../src/system/worker-processes.ts';
import type { MetricShare } from '../../../src/workers/counted.ts';
import type { WorkersEvent } from '../../../src/workers/events.ts';
import type { Answers } from '../../../src/workers/peer.ts';
import { createPrimary, type Primary } from '../../../src/workers/primary.ts';
import { takeStation, type Obeys, type Order, type Station } from '../../../src/workers/station.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';

/** Two ends of a channel; what is sent arrives a turn later, as a copy. */
export function channels(): readonly [Channel, Channel, end: () => void] {
  const ends = [0, 1].map(() => ({ heard: [] as ((message: unknown) => void)[], gone: [] as (() => void)[] }));
  let open = true;
  const channel = (own: number): Channel => ({
    send(message) {
      const copy: unknown = structuredClone(message);
      if (open) queueMicrotask(() => open && ends[1 - own]!.heard.forEach((hear) => hear(copy)));
    },
    onMessage: (listener) => void ends[own]!.heard.push(listener),
    onGone: (listener) => void (open ? ends[own]!.gone.push(listener) : listener()),
  });
  const end = (): void => {
    open = false;
    for (const { gone } of ends) for (const tell of gone) tell();
  };
  return [channel(0), channel(1), end];
}

/** A worker of a scene: what the primary started, and the station that it took. */
export interface FakeWorker {
  readonly pid: number;
  readonly order: Order;
  readonly station: Station;
  readonly obeyed: string[];
  /** Begins to serve. */
  serve(obeys?: Partial<Obeys>): void;
  write(text: string): void;
  end(how?: number | string): void;
  readonly killed: boolean;
}

export interface WorkersScene {
  readonly clock: FakeClock;
  readonly primary: Primary;
  /** Every one that was started, in that order. */
  readonly started: FakeWorker[];
  readonly events: WorkersEvent[];
  readonly written: string[];
  readonly left: number[];
  /** Lets what was sent arrive. */
  settled(): Promise<void>;
  /** Starts all, and has each serve. */
  begin(): Promise<readonly FakeWorker[]>;
}

export function workersScene(count: number, answers: Answers = {}): WorkersScene {
  const clock = createFakeClock();
  const started: FakeWorker[] = [];
  const events: WorkersEvent[] = [];
  const written: string[] = [];
  const left: number[] = [];
  let order = 'first';

  function start(): WorkerProcess {
    const [near, far, close] = channels();
    const pid = 1000 + started.length;
    const outputs: ((text: string) => void)[] = [];
    const ends: ((how: number | string) => void)[] = [];
    let killed = false;
    const end = (how: number | string): void => {
      close();
      for (const tell of ends) tell(how);
    };
    const obeyed: string[] = [];
    void takeStation(far).then(({ station, order: given }) => {
      started.push({
        pid,
        order: given,
        station,
        obeyed,
        serve: (obeys = {}) =>
          station.listening(
            { main: '127.0.0.1:5000' },
            {
              prepare: async (next) => void obeyed.push(`prepare ${String(next)}`),
              commit: async () => {
                obeyed.push('commit');
                return ['http.addr'];
              },
              abandon: () => void obeyed.push('abandon'),
              drain: () => void obeyed.push('drain'),
              ...obeys,
            },
          ),
        write: (text) => outputs.forEach((take) => take(text)),
        end: (how = 'SIGKILL') => end(how),
        get killed() {
          return killed;
        },
      });
    });
    return {
      pid,
      ...near,
      onOutput: (listener) => void outputs.push(listener),
      onEnd: (listener) => void ends.push(listener),
      kill() {
        killed = true;
        end('SIGKILL');
      },
    };
  }

  const primary = createPrimary({
    count,
    clock,
    start,
    order: () => order,
    write: (lines) => void written.push(lines),
    report: (event) => void events.push(event),
    answers,
    dropped: () => 3,
    counted: () => [],
    onEnd: (worker) => void left.push(worker),
  });
  const reload = async (next: unknown): Promise<readonly string[]> => {
    const restart = await primary.reload(next);
    order = String(next);
    return restart;
  };
  const settled = (): Promise<void> => clock.advance(0);
  return {
    clock,
    primary: { ...primary, reload },
    started,
    events,
    written,
    left,
    settled,
    async begin() {
      const starting = primary.start();
      await settled();
      started[0]!.serve();
      await settled();
      for (const worker of started.slice(1)) worker.serve();
      await starting;
      return started;
    },
  };
}

export function counter(name: string, value: number, labels: Readonly<Record<string, string>> = {}): MetricShare {
  return { name, help: '', type: 'counter', aggregator: 'sum', values: [{ value, labels }] };
}
