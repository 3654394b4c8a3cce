import type { UpstreamAnswer, UpstreamError, UpstreamFound } from '../upstream/upstream.ts';

/** What a chain said when none of it could supply: the worst that each upstream said, in the order of the contract. */
export type Refusal =
  /** One at least could not be asked or answered nonsense, so nobody knows. `timeout`: all such were time-outs. */
  | {
      readonly kind: 'unreachable';
      readonly timeout: boolean;
      /** Nobody else was left to ask than who asks us in turn (508). */
      readonly looped?: boolean;
      readonly tried: readonly Tried[];
    }
  | { readonly kind: 'limited'; readonly retryAfterSeconds: number | undefined; readonly tried: readonly Tried[] }
  | { readonly kind: 'denied'; readonly tried: readonly Tried[] }
  | {
      readonly kind: 'absent';
      readonly hint: string | undefined;
      readonly unknownName: boolean;
      /** One of the chain was passed by because it asks us in turn: the others have not got it. */
      readonly looped?: boolean;
      /** When the chain was begun to be asked, on the monotonic clock. */
      readonly asked?: number;
      readonly tried: readonly Tried[];
    }
  /** The route is offline: nobody was asked, so that nothing is known but that it is not held. */
  | { readonly kind: 'offline'; readonly tried: readonly Tried[] };

/** One upstream asked in vain; `error` is a sentence without secrets. */
export interface Tried {
  readonly upstream: string;
  readonly error: string;
  readonly ms: number;
}

/** A fill may break very often; the log and the client are told of this many at most. */
const TRIED_MAX = 32;

const SENTENCE = { absent: 'not there', limited: 'rate limit reached', denied: 'access denied' } as const;

/** Whom we would have to ask waits for us: 508. */
export function loopRefusal(tried: readonly Tried[]): Refusal {
  return { kind: 'unreachable', timeout: false, looped: true, tried };
}

/** Collects what each upstream said against it. */
export class Refusals {
  readonly #tried: Tried[] = [];
  #faults = 0;
  #loops = 0;
  #isAbsent = false;
  #timeouts = 0;
  #limited = false;
  #retryAfterSeconds: number | undefined;
  #denied = false;
  #hint: string | undefined;
  #unknownName = false;

  add(upstream: string, answer: Exclude<UpstreamAnswer, UpstreamFound>, ms: number): void {
    this.#note({ upstream, error: SENTENCE[answer.kind], ms: Math.round(ms) });
    if (answer.kind === 'denied') this.#denied = true;
    if (answer.kind === 'absent') {
      this.#isAbsent = true;
      this.#hint ??= answer.hint;
      this.#unknownName ||= answer.unknownName === true;
    }
    if (answer.kind !== 'limited') return;
    this.#limited = true;
    if (answer.retryAfterSeconds === undefined) return;
    this.#retryAfterSeconds = Math.min(this.#retryAfterSeconds ?? Infinity, answer.retryAfterSeconds);
  }

  addError(error: UpstreamError, ms: number): void {
    this.#note({ upstream: error.upstream, error: error.message, ms: Math.round(ms) });
    // Who asks us in turn has nothing that we do not wait for already: he says neither yes nor no.
    if (error.status === 508) {
      this.#loops += 1;
      return;
    }
    this.#faults += 1;
    if (error.timeout) this.#timeouts += 1;
  }

  /** Another one answered while this one was still waited for: no fault, but worth telling. */
  addSlower(upstream: string, ms: number): void {
    this.#note({ upstream, error: 'slower than the next', ms: Math.round(ms) });
  }

  /** Whether somebody was passed by because he asks us in turn. */
  looped(): boolean {
    return this.#loops > 0;
  }

  tried(): readonly Tried[] {
    return [...this.#tried];
  }

  /** A fault outweighs 429, that outweighs a refusal, that outweighs absence: trouble never becomes "not there". */
  fold(): Refusal {
    const tried = this.tried();
    if (this.#faults > 0) return { kind: 'unreachable', timeout: this.#timeouts === this.#faults, tried };
    if (this.#limited) return { kind: 'limited', retryAfterSeconds: this.#retryAfterSeconds, tried };
    if (this.#denied) return { kind: 'denied', tried };
    if (this.looped() && !this.#isAbsent) return loopRefusal(tried);
    const looped = this.looped() ? { looped: true } : {};
    return { kind: 'absent', hint: this.#hint, unknownName: this.#unknownName, ...looped, tried };
  }

  #note(tried: Tried): void {
    if (this.#tried.length < TRIED_MAX) this.#tried.push(tried);
  }
}
