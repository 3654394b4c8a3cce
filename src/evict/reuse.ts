import type { Digest } from '../oci/digest.ts';

/** Digests that are followed at most: about 2 MB. Fewer are followed exactly, of more a sample. */
const FOLLOWED_MAX = 8_192;
/** What is left of the sample when it was too large. */
const SHRINK = 7 / 8;
/** Buckets of distances, per doubling: neighbours differ by 4 %. */
const PER_OCTAVE = 16;
const OCTAVES = 52;

export interface ReuseOptions {
  readonly followedMax?: number;
}

/** What a cache of a size would have done since the start. */
export interface ReusePoint {
  readonly bytes: number;
  /** Share of uses that would have been hits; the first use of anything is none. */
  readonly hitRatio: number;
}

/**
 * What a cache of any size that evicts the least recently used would have hit, told from the uses of this one: a use is a hit
 * where everything that was used since the use before fits beside it. Followed is a sample of digests, taken by their own
 * digits, so that all uses of one are in it or none; the rate falls when there are too many, so that memory is bounded and the
 * cost of a use is flat (SHARDS with a fixed size and the adjustment for skew: Waldspurger et al., FAST 2015).
 */
export class Reuse {
  readonly #followedMax: number;
  readonly #followed = new Map<number, Followed>();
  /** By distance, in uses of the sample as it is now. */
  readonly #counts = new Float64Array(OCTAVES * PER_OCTAVE);
  #recency: Recency;
  /** Digests whose digits, as a share of 1, are below it are followed. */
  #rate = 1;
  #uses = 0;
  /** First uses, as `#counts`. */
  #firsts = 0;

  constructor({ followedMax = FOLLOWED_MAX }: ReuseOptions = {}) {
    this.#followedMax = followedMax;
    this.#recency = new Recency(followedMax * 4);
  }

  /** All uses so far. */
  get uses(): number {
    return this.#uses;
  }

  /** Digests that are followed now. */
  get followed(): number {
    return this.#followed.size;
  }

  /** A digest was used, whatever came of it. */
  note(digest: Digest, size: number): void {
    this.#uses += 1;
    const place = placeOf(digest);
    if (place >= this.#rate) return;
    const before = this.#followed.get(place);
    if (before === undefined) this.#firsts += 1;
    else {
      const since = this.#recency.after(before.at) / this.#rate;
      const bucket = bucketOf(since + before.size);
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
      this.#recency.add(before.at, -before.size);
    }
    if (this.#recency.isFull()) this.#renumber();
    const at = this.#recency.next();
    this.#recency.add(at, size);
    this.#followed.set(place, { at, size });
    if (this.#followed.size > this.#followedMax) this.#shrink();
  }

  /** By size, in the order of `sizes`; `undefined` before the first use. */
  curve(sizes: readonly number[]): readonly ReusePoint[] | undefined {
    if (this.#uses === 0) return undefined;
    const counted = this.#firsts + this.#counts.reduce((sum, count) => sum + count, 0);
    const expected = this.#uses * this.#rate;
    // The sample has too few or too many uses where it missed, or holds, one of the few that are used all the time: hits at any size.
    const adjustment = expected - counted;
    return sizes.map((bytes) => {
      const hits = this.#countBelow(bytes) + adjustment;
      return { bytes, hitRatio: Math.min(1, Math.max(0, hits / expected)) };
    });
  }

  #countBelow(bytes: number): number {
    const last = bucketOf(bytes);
    let sum = 0;
    for (let bucket = 0; bucket < last; bucket += 1) sum += this.#counts[bucket] ?? 0;
    const part = (bytes - lowerOf(last)) / (lowerOf(last + 1) - lowerOf(last));
    return sum + (this.#counts[last] ?? 0) * Math.min(1, Math.max(0, part));
  }

  #shrink(): void {
    const rate = this.#rate * SHRINK;
    for (const place of this.#followed.keys()) if (place >= rate) this.#followed.delete(place);
    for (const [bucket, count] of this.#counts.entries()) this.#counts[bucket] = count * SHRINK;
    this.#firsts *= SHRINK;
    this.#rate = rate;
    this.#renumber();
  }

  /** Counts time from the beginning again, and forgets what is followed no more. */
  #renumber(): void {
    this.#recency = new Recency(this.#followedMax * 4);
    const inOrder = [...this.#followed].sort(([, a], [, b]) => a.at - b.at);
    for (const [place, { size }] of inOrder) {
      const at = this.#recency.next();
      this.#recency.add(at, size);
      this.#followed.set(place, { at, size });
    }
  }
}

interface Followed {
  /** Its last use, as the recency counts. */
  readonly at: number;
  readonly size: number;
}

/** Sums of sizes over a row of moments (a Fenwick tree). */
class Recency {
  readonly #sums: Float64Array;
  #now = 0;
  #total = 0;

  constructor(moments: number) {
    this.#sums = new Float64Array(moments + 1);
  }

  isFull(): boolean {
    return this.#now === this.#sums.length - 1;
  }

  next(): number {
    this.#now += 1;
    return this.#now;
  }

  add(at: number, size: number): void {
    this.#total += size;
    for (let index = at; index < this.#sums.length; index += index & -index)
      this.#sums[index] = (this.#sums[index] ?? 0) + size;
  }

  /** Of what was used after that moment. */
  after(at: number): number {
    let until = 0;
    for (let index = at; index > 0; index -= index & -index) until += this.#sums[index] ?? 0;
    return this.#total - until;
  }
}

/** Where a digest stands among all, from 0 to 1: its first 52 bits. */
function placeOf(digest: Digest): number {
  const start = digest.indexOf(':') + 1;
  return Number.parseInt(digest.slice(start, start + 13), 16) / 2 ** 52;
}

function bucketOf(bytes: number): number {
  return Math.min(OCTAVES * PER_OCTAVE - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) * PER_OCTAVE)));
}

function lowerOf(bucket: number): number {
  return 2 ** (bucket / PER_OCTAVE);
}
