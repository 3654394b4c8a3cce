import type { Clock, Timer } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import type { Report } from './events.ts';
import { UpstreamError } from './upstream.ts';

export interface BreakerOptions {
  readonly upstream: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  /** Asks whether it is there, on nobody's behalf. Rejects with UpstreamError when it is not; ends with the signal. */
  readonly probe: (signal: AbortSignal) => Promise<void>;
  /** Milliseconds between questions whether it is there while it is closed; `undefined`: only requests tell. */
  readonly checkMs?: number | undefined;
  /** Failures in a row that open it. */
  readonly failures?: number;
}

/** How one request went. Only the first report counts, and none once the breaker has changed its state. */
export interface Attempt {
  succeeded(): void;
  failed(error: UpstreamError): void;
  /** Nothing was learnt: the caller left. */
  abandoned(): void;
}

type State =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly until: number }
  /** `trying`: a request is its trial now. */
  | { readonly kind: 'half-open'; trying: boolean };

const FAILURES = 5;
const OPEN_MS_FIRST = 5000;
const OPEN_MS_MAX = 60_000;

/** An upstream that nobody has had a use for in so long is not probed: the next request is its trial. */
const IDLE_MS = 10 * 60_000;

/** After a check that failed the next comes this soon, so that five of them take no multiple of a long interval. */
const RECHECK_MS_MAX = 5000;

/**
 * Passes an upstream over while it is down, so that nobody waits for it. Closed; open for a time (doubling, with a jitter of
 * a fifth), at whose end a probe beside all requests finds out whether it is there; then half-open: one request at a time is
 * let through as the trial, and its success closes. Where no request comes, a second probe that succeeds closes it on
 * probation: the first failure opens it again. Every change of state begins a generation, and a late report of an earlier
 * one changes nothing (R12).
 */
export class Breaker {
  readonly #options: BreakerOptions;
  readonly #failures: number;
  readonly #stopping = new AbortController();
  #state: State = { kind: 'closed' };
  #generation = 0;
  /** In a row; `ofChecks` are those of them that checks met. */
  #inRow = 0;
  #ofChecks = 0;
  #openedFor = 0;
  #last: UpstreamError | undefined;
  #wantedAt: number;
  /** At most one at a time, for whatever comes next. */
  #timer: Timer | undefined;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#failures = options.failures ?? FAILURES;
    this.#wantedAt = options.clock.monotonic();
    this.#checkLater(options.checkMs);
  }

  /** Nothing is held against it. */
  isClosed(): boolean {
    return this.#state.kind === 'closed';
  }

  /** It may be offered a request. Whoever looks at this has a use for it, and keeps its probes going. */
  isOffered(): boolean {
    this.#wantedAt = this.#now();
    return this.#state.kind !== 'open';
  }

  /** Throws what the upstream failed with, while it is passed over; else yields how to say what came of this attempt. */
  enter(): Attempt {
    this.#wantedAt = this.#now();
    if (!this.#admits()) throw passedOver(this.#options.upstream, this.#last);
    const mine = this.#generation;
    const ifCurrent = (act: () => void): void => (mine === this.#generation ? act() : undefined);
    return {
      succeeded: () => ifCurrent(() => this.#succeeded()),
      failed: (error) => ifCurrent(() => this.#failed(error)),
      abandoned: () =>
        ifCurrent(() => {
          if (this.#state.kind === 'half-open') this.#state.trying = false;
        }),
    };
  }

  /** Ends probes and checks. Who still enters finds a breaker that the time alone takes from open to half-open. */
  stop(): void {
    this.#timer?.cancel();
    this.#stopping.abort(new Error('the upstream is not used any more'));
  }

  /** Where it is half-open, who is admitted is the trial. */
  #admits(): boolean {
    const { kind } = this.#state;
    if (kind === 'open' && this.#stopping.signal.aborted && this.#now() >= this.#state.until) this.#change(HALF_OPEN());
    if (this.#state.kind !== 'half-open') return this.#state.kind === 'closed';
    if (this.#state.trying) return false;
    this.#state.trying = true;
    return true;
  }

  #succeeded(): void {
    this.#inRow = 0;
    this.#ofChecks = 0;
    this.#openedFor = 0;
    if (this.#state.kind !== 'closed') this.#close();
  }

  #failed(error: UpstreamError): void {
    this.#inRow++;
    if (this.#state.kind !== 'closed' || this.#inRow >= this.#failures) this.#open(error);
  }

  #open(error: UpstreamError): void {
    const { upstream, report } = this.#options;
    const wasClosed = this.isClosed();
    this.#last = error;
    this.#openedFor = Math.min(this.#openedFor === 0 ? OPEN_MS_FIRST : this.#openedFor * 2, OPEN_MS_MAX);
    const ms = this.#jittered(this.#openedFor);
    this.#change({ kind: 'open', until: this.#now() + ms });
    this.#later(ms, () => (this.#isIdle() ? this.#change(HALF_OPEN()) : this.#probe()));
    if (wasClosed) report({ kind: 'upstream-down', upstream, message: error.message, ms });
  }

  #close(): void {
    this.#change({ kind: 'closed' });
    this.#checkLater(this.#options.checkMs);
    this.#options.report({ kind: 'upstream-up', upstream: this.#options.upstream });
  }

  #change(next: State): void {
    this.#generation++;
    this.#state = next;
    this.#timer?.cancel();
  }

  #probe(): void {
    this.#ask((error) => {
      const isOpen = this.#state.kind === 'open';
      if (this.#state.kind === 'half-open' && this.#state.trying) return this.#probeLater(); // The trial tells more.
      if (error === undefined) return isOpen ? this.#vouched() : this.#closeOnProbation();
      // One that answers, if only with errors, may fail at this question alone: a request a minute finds out.
      if (error.status !== undefined && this.#openedFor === OPEN_MS_MAX) return this.#onTrial();
      this.#open(error);
    });
  }

  /** A spare one gets no request to find out, so it is asked on as well. */
  #onTrial(): void {
    if (this.#state.kind === 'open') this.#change(HALF_OPEN());
    this.#later(this.#jittered(this.#openedFor), () => (this.#isIdle() ? undefined : this.#probe()));
  }

  #vouched(): void {
    this.#change(HALF_OPEN());
    this.#probeLater();
  }

  #probeLater(): void {
    this.#later(this.#jittered(this.#openedFor), () => this.#probe());
  }

  #closeOnProbation(): void {
    this.#inRow = this.#failures - 1;
    this.#ofChecks = 0;
    this.#close();
  }

  #check(intervalMs: number): void {
    this.#ask((error) => {
      if (error !== undefined) {
        this.#ofChecks++;
        this.#checkLater(intervalMs, Math.min(intervalMs, RECHECK_MS_MAX));
        return this.#failed(error);
      }
      // What requests have failed at is not made good by this question.
      this.#inRow -= this.#ofChecks;
      this.#ofChecks = 0;
      this.#checkLater(intervalMs);
    });
  }

  #checkLater(intervalMs: number | undefined, afterMs = intervalMs): void {
    if (intervalMs !== undefined) this.#later(this.#jittered(afterMs ?? intervalMs), () => this.#check(intervalMs));
  }

  /** Never rejects; `act` hears what came of it, unless more is known by then. */
  #ask(act: (error: UpstreamError | undefined) => void): void {
    const { upstream, probe } = this.#options;
    const { signal } = this.#stopping;
    const mine = this.#generation;
    const told = (error: UpstreamError | undefined): void => {
      if (mine === this.#generation && !signal.aborted) act(error);
    };
    probe(signal).then(
      () => told(undefined),
      (error: unknown) =>
        told(error instanceof UpstreamError ? error : new UpstreamError(upstream, 'connect', String(error), { cause: error })),
    );
  }

  #later(ms: number, act: () => void): void {
    this.#timer?.cancel();
    if (!this.#stopping.signal.aborted) this.#timer = this.#options.clock.after(ms, act);
  }

  /** Checks are asked for; they go on whoever has a use for it. */
  #isIdle(): boolean {
    return this.#options.checkMs === undefined && this.#now() - this.#wantedAt > IDLE_MS;
  }

  #jittered(ms: number): number {
    return Math.round(ms * (0.8 + 0.4 * this.#options.random.fraction()));
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }
}

const HALF_OPEN = (): State => ({ kind: 'half-open', trying: false });

function passedOver(upstream: string, last: UpstreamError | undefined): UpstreamError {
  const options = {
    timeout: last?.timeout ?? false,
    ...(last?.status === undefined ? {} : { status: last.status }),
    cause: last,
  };
  return new UpstreamError(
    upstream,
    last?.reason ?? 'connect',
    `${upstream} is passed over for a moment: ${last?.message ?? 'it failed'}`,
    options,
  );
}
