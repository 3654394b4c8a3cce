import type { FillKey } from '../../metadata/records.ts';
import type { Clock } from '../../system/clock.ts';
import type { Upstream } from '../../upstream/upstream.ts';
import { keyText } from './fill-key.ts';

/** How long an upstream that sent wrong bytes is passed over for that digest (architecture.md, decision 4). */
const BLAME_MS = 60_000;

/** Blames kept at once; the oldest go first. */
const BLAMES_MAX = 1_000;

/**
 * Who sent wrong bytes of a digest lately. Never a breaker failure: the rest of what such an upstream has may be right. Nor is it said of
 * another registry's upstream that goes by the same name, as `origin` does in all of them.
 */
export class Blame {
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The chain without those to blame for this digest; all of it where nobody else is left. */
  candidates(fill: FillKey, chain: readonly Upstream[]): readonly Upstream[] {
    const innocent = chain.filter(({ name }) => (this.#until.get(keyOf(fill, name)) ?? 0) <= this.#clock.monotonic());
    return innocent.length > 0 ? innocent : chain;
  }

  add(fill: FillKey, upstream: string): void {
    this.#until.set(keyOf(fill, upstream), this.#clock.monotonic() + BLAME_MS);
    for (const oldest of this.#until.keys()) {
      if (this.#until.size <= BLAMES_MAX) break;
      this.#until.delete(oldest);
    }
  }
}

function keyOf(fill: FillKey, upstream: string): string {
  return `${keyText(fill)} ${upstream}`;
}

/**
 * A resume that brought less than this is charged; what brings more pays for itself, however often a body breaks. About half
 * of what one read of a socket yields: an upstream that resets right after it wrote leaves hardly more of what it sent.
 */
const RESUME_PAYS_BYTES = 32 * 1024;

/** Charged resumes of one fill at one upstream (architecture.md, decision 3). */
const RESUMES_MAX = 50;

/**
 * Which upstream a fill asks next: the same one while it makes progress, the next one after two breaks without progress or
 * a stall, round the chain until a full round brought no byte. Who breaks too often is not asked any more; the others are.
 */
export class Sources {
  readonly #chain: Upstream[];
  readonly #charged = new Map<Upstream, number>();
  #cursor = 0;
  #fruitless = 0;
  #breaksWithoutProgress = 0;

  constructor(chain: readonly Upstream[]) {
    this.#chain = [...chain];
  }

  /** `undefined`: nobody is left to ask. */
  current(): Upstream | undefined {
    if (this.#fruitless >= this.#chain.length) return undefined;
    return this.#chain[this.#cursor % this.#chain.length];
  }

  /** Who comes after the current one; `undefined` where nobody else is left. */
  following(): Upstream | undefined {
    return this.#fruitless + 1 < this.#chain.length ? this.#chain[(this.#cursor + 1) % this.#chain.length] : undefined;
  }

  /** It supplied nothing: it refused, failed, or answered what cannot be used. */
  refused(upstream: Upstream): void {
    this.#fruitless += 1;
    if (upstream === this.#chain[this.#cursor % this.#chain.length]) this.#next();
  }

  /** It has a body: where it was asked beside the current one, it is the current one now. */
  supplied(upstream: Upstream): void {
    if (upstream === this.#chain[this.#cursor % this.#chain.length]) return;
    this.#cursor = this.#chain.indexOf(upstream);
    this.#breaksWithoutProgress = 0;
  }

  /** The current one's body ended early after bringing `bytes`. True when the next is to be asked. */
  broke(bytes: number, stalled: boolean): boolean {
    if (bytes > 0) {
      this.#fruitless = 0;
      this.#breaksWithoutProgress = 0;
    } else {
      this.#breaksWithoutProgress += 1;
    }
    if (bytes < RESUME_PAYS_BYTES && this.#isSpent()) return true;
    if (!stalled && this.#breaksWithoutProgress < 2) return false;
    if (bytes === 0) this.#fruitless += 1;
    this.#next();
    return true;
  }

  /** Charges the current one; true, and it is gone from the chain, where that was once too often. */
  #isSpent(): boolean {
    const at = this.#cursor % this.#chain.length;
    const upstream = this.#chain[at];
    if (upstream === undefined) return true;
    const charged = (this.#charged.get(upstream) ?? 0) + 1;
    this.#charged.set(upstream, charged);
    if (charged <= RESUMES_MAX) return false;
    this.#chain.splice(at, 1);
    this.#cursor = at;
    this.#breaksWithoutProgress = 0;
    return true;
  }

  #next(): void {
    this.#cursor += 1;
    this.#breaksWithoutProgress = 0;
  }
}
