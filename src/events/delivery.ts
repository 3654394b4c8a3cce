import type { Outbox, Waiting } from '../metadata/records.ts';
import type { Clock, Timer } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import type { Endpoint } from './endpoint.ts';
import { envelopeOf, type Request } from './envelope.ts';
import type { ReportNotifications } from './events.ts';
import { Turn } from './turn.ts';

/** How often is looked for what other processes queued, for the turn, and for the store to be back. */
export const LOOK_MS = 1_000;

/** Between two tries below the threshold, on average. */
const AGAIN_MS = 100;

/** How long a place may lead to no event before it is given up: its writer may be at work, or have died. */
const EMPTY_MS = 5_000;

/** How long a delivery that runs may go on once delivering is to stop. */
const STOP_MS = 2_000;

/** Sends one request and yields the status of its answer; follows no redirect. Rejects when none came before the signal. */
export type Send = (url: string, request: Request, signal: AbortSignal) => Promise<number>;

export interface DeliveryOptions {
  readonly endpoint: Endpoint;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly random: Random;
  readonly holder: string;
  readonly isDead: (holder: string) => boolean;
  readonly send: Send;
  readonly report: ReportNotifications;
}

/**
 * Tells one endpoint what waits for it, one event after the other, each until it is accepted: so none is lost and none
 * overtakes another, and what the endpoint cannot take waits in the store. An event may be told twice.
 */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #turn: Turn;
  readonly #stopping = new AbortController();
  readonly #cutting = new AbortController();
  #failures = 0;
  /** Accepted, but not yet taken out: the store could not be written. It is not told again for that. */
  #told: Waiting | undefined;
  /** Monotonic: the endpoint is left alone until then. */
  #notBefore = 0;
  /** The place that leads to no event, and since when, monotonic. */
  #empty: { readonly number: number; readonly since: number } | undefined;
  #woken = false;
  #wake: () => void = () => undefined;
  #running: Promise<void> | undefined;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#turn = new Turn({ ...options, endpoint: options.endpoint.name, stepMs: options.endpoint.timeoutMs + LOOK_MS });
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Something was queued. */
  wake(): void {
    this.#woken = true;
    this.#wake();
  }

  /** Resolves when nothing is being sent any more and another process may deliver. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    const timer = this.#options.clock.after(STOP_MS, () => this.#cutting.abort());
    await this.#running;
    timer.cancel();
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#woken = false;
      const pauseMs = await this.#step();
      if (pauseMs > 0) await this.#pause(pauseMs);
    }
    await this.#turn.drop();
  }

  /** One event at most. Yields how long nothing is to be done. */
  async #step(): Promise<number> {
    const { clock, outbox, endpoint, report } = this.#options;
    try {
      if (!(await this.#turn.hold())) return LOOK_MS;
      const leftMs = this.#notBefore - clock.monotonic();
      if (leftMs > 0) return Math.min(leftMs, LOOK_MS);
      const head = await outbox.head(endpoint.name);
      if (head === undefined || this.#isBeingWritten(head)) return LOOK_MS;
      if (!this.#isTold(head) && !(await this.#tell(head))) return 0;
      await outbox.remove(endpoint.name, head);
      this.#told = undefined;
      return 0;
    } catch (error) {
      report({ kind: 'notifications-unreachable', error });
      return LOOK_MS;
    }
  }

  #isBeingWritten({ number, event }: Waiting): boolean {
    if (event !== undefined) return false;
    const now = this.#options.clock.monotonic();
    if (this.#empty?.number !== number) this.#empty = { number, since: now };
    return now - this.#empty.since < EMPTY_MS;
  }

  #isTold({ repository, event }: Waiting): boolean {
    return this.#told !== undefined && this.#told.repository === repository && this.#told.event?.id === event?.id;
  }

  async #tell(head: Waiting): Promise<boolean> {
    if (head.event === undefined) return true;
    const { clock, random, endpoint } = this.#options;
    const accepted = await this.#send(head.event.text);
    this.#failures = accepted ? 0 : this.#failures + 1;
    if (accepted) this.#told = head;
    else {
      const again = AGAIN_MS * (0.5 + random.fraction());
      const pauseMs = this.#failures >= endpoint.threshold ? endpoint.backoffMs : Math.min(again, endpoint.backoffMs);
      this.#notBefore = clock.monotonic() + pauseMs;
    }
    return accepted;
  }

  /** 2xx accepts. A redirect is no answer: it is not followed, since it could lead anywhere (reliability.md, S44). */
  async #send(event: string): Promise<boolean> {
    const { clock, endpoint, send, report } = this.#options;
    const late = new AbortController();
    const timer: Timer = clock.after(endpoint.timeoutMs, () => {
      late.abort(new Error(`no answer within ${endpoint.timeoutMs} ms`));
    });
    try {
      const signal = AbortSignal.any([late.signal, this.#cutting.signal]);
      const status = await send(endpoint.url, envelopeOf(endpoint, event), signal);
      const accepted = status >= 200 && status < 300;
      report({ kind: 'notification-answered', endpoint: endpoint.name, status, accepted });
      return accepted;
    } catch (error) {
      report({ kind: 'notification-unanswered', endpoint: endpoint.name, error });
      return false;
    } finally {
      timer.cancel();
    }
  }

  /** Until `ms` have passed or somebody wakes us, be it that it happened before. */
  #pause(ms: number): Promise<void> {
    if (this.#woken && this.#notBefore <= this.#options.clock.monotonic()) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#wake = () => undefined;
        resolve();
      };
      const timer = this.#options.clock.after(ms, done);
      this.#wake = done;
      if (this.#stopping.signal.aborted) done();
    });
  }
}
