import type { BroughtRecord } from '../../metadata/records.ts';

/** For whom bytes of a fill are read: the repository, and who said yes there, where somebody was asked besides. */
export interface Follower {
  readonly holder: string;
  readonly upstream: string | undefined;
}

/** One who reads. */
export interface Following {
  /** It may go on until this is aborted. */
  readonly signal: AbortSignal;
  /** It reads no more. */
  readonly leave: () => void;
}

/**
 * How the bytes at hand of a fill came. Another repository of its registry may read them as they arrive where anybody could have
 * them, or where the upstream that says yes for it is the one that brings them all: whoever merely says that it has a digest has
 * not shown that it does (architecture.md, decision 8). Another registry has a fill of its own (`fills.ts`).
 */
export class Brought {
  /** Under which they were asked for, with its registry. */
  #repository: string;
  /** Nobody but the upstreams decides who may read what comes for that repository. */
  readonly #isOpen: boolean;
  #isPublic: boolean;
  #anonymous = true;
  readonly #by = new Set<string>();
  readonly #followers = new Map<AbortController, Follower>();

  constructor(repository: string, isOpen: boolean) {
    this.#repository = repository;
    this.#isOpen = isOpen;
    this.#isPublic = isOpen;
  }

  /** No credential was needed for any of them. */
  get anonymous(): boolean {
    return this.#anonymous;
  }

  /** And where they were asked for, anyone may pull. */
  get isPublic(): boolean {
    return this.#isPublic && this.#anonymous;
  }

  /** The upstream that brought them all; `undefined` where there are several, or none yet. */
  get sole(): string | undefined {
    const [first] = this.#by;
    return this.#by.size === 1 && first !== SOMEBODY ? first : undefined;
  }

  /** As others are told of it. */
  get record(): BroughtRecord {
    const { sole } = this;
    const record = { repository: this.#repository, anonymous: this.#anonymous, public: this.isPublic };
    return sole === undefined ? record : { ...record, upstream: sole };
  }

  /** An upstream brings some of them; told before the first comes. */
  add(upstream: string, anonymous: boolean): void {
    this.#by.add(upstream);
    this.#anonymous &&= anonymous;
    this.#sendAway();
  }

  /** From the first byte again. */
  restart(): void {
    this.#by.clear();
  }

  /** Whether what an earlier fill left may be gone on with for this repository. */
  admits(left: BroughtRecord | undefined): left is BroughtRecord {
    return left !== undefined && (left.public || left.repository === this.#repository);
  }

  /** It is gone on with. */
  takeUp(left: BroughtRecord): void {
    this.#by.add(left.upstream ?? SOMEBODY);
    this.#anonymous &&= left.anonymous;
    this.#isPublic &&= left.public;
  }

  /** Another process brings them, and tells how. */
  told(theirs: BroughtRecord | undefined): void {
    this.#by.clear();
    this.#by.add(theirs?.upstream ?? SOMEBODY);
    this.#repository = theirs?.repository ?? '';
    this.#anonymous = theirs?.anonymous ?? false;
    this.#isPublic = theirs?.public ?? false;
    this.#sendAway();
  }

  /** We lead now, for `repository`. False where what another process brought so far may not be shown there. */
  lead(repository: string): boolean {
    const may = this.isPublic || this.#repository === repository;
    this.#repository = repository;
    this.#isPublic = this.#isOpen && (this.#isPublic || !may);
    if (!may) {
      this.#by.clear();
      this.#anonymous = true;
    }
    this.#sendAway();
    return may;
  }

  /** What is at hand now may be read for whom. */
  permits({ holder, upstream }: Follower): boolean {
    return holder === this.#repository || this.isPublic || (upstream !== undefined && upstream === this.sole);
  }

  /** Reads from now on, until it leaves. */
  follow(follower: Follower): Following {
    const end = new AbortController();
    if (this.permits(follower)) this.#followers.set(end, follower);
    else end.abort(SOMEBODY_ELSES);
    return { signal: end.signal, leave: () => this.#followers.delete(end) };
  }

  #sendAway(): void {
    for (const [end, follower] of this.#followers) {
      if (this.permits(follower)) continue;
      this.#followers.delete(end);
      end.abort(SOMEBODY_ELSES);
    }
  }
}

/** Who cannot be named, or several. */
const SOMEBODY = '';

const SOMEBODY_ELSES = new Error('these bytes come from somebody else now, who has not been asked for this repository');
