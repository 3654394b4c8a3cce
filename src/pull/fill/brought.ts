import type { BroughtRecord } from '../../metadata/records.ts';
import { registryOf } from '../holder.ts';

/** Somebody who reads bytes that came for another repository, or may come to. */
interface Follower {
  readonly holder: string;
  readonly upstream: string | undefined;
  readonly end: AbortController;
}

/**
 * How the bytes at hand of a fill came. Another repository of that registry may read them as they arrive where anybody could have them, or where the
 * upstream that says yes for it is the one that brings them all: whoever merely says that it has a digest has not shown that it does
 * (architecture.md, decision 8). In another registry anybody may answer, with other bytes than these, or none for a long time: who pulls from
 * here is not to wait for that, nor to be cut for it.
 */
export class Brought {
  /** Under which they were asked for, with its registry. */
  #repository: string;
  /** Nobody but the upstreams decides who may read what comes for that repository. */
  readonly #isOpen: boolean;
  #isPublic: boolean;
  #anonymous = true;
  readonly #by = new Set<string>();
  readonly #followers = new Set<Follower>();

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
    if (left === undefined || registryOf(left.repository) !== registryOf(this.#repository)) return false;
    return left.public || left.repository === this.#repository;
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
    const may = this.#repository === repository || (this.isPublic && registryOf(this.#repository) === registryOf(repository));
    this.#repository = repository;
    this.#isPublic = this.#isOpen && (this.#isPublic || !may);
    if (!may) {
      this.#by.clear();
      this.#anonymous = true;
    }
    this.#sendAway();
    return may;
  }

  /**
   * For as long as who reads for `holder` may go on; `undefined`: not at all. `upstream`: who said yes there, where somebody was
   * asked besides.
   */
  follow(holder: string, upstream: string | undefined): AbortSignal | undefined {
    const follower = { holder, upstream, end: new AbortController() };
    if (!this.#permits(follower)) return undefined;
    this.#followers.add(follower);
    return follower.end.signal;
  }

  /** As `sole`, in the registry of that repository: elsewhere another goes by the same name. */
  soleFor(holder: string): string | undefined {
    return registryOf(holder) === registryOf(this.#repository) ? this.sole : undefined;
  }

  #permits({ holder, upstream }: Follower): boolean {
    if (holder === this.#repository) return true;
    if (registryOf(holder) !== registryOf(this.#repository)) return false;
    return this.isPublic || (upstream !== undefined && upstream === this.soleFor(holder));
  }

  #sendAway(): void {
    for (const follower of this.#followers) {
      if (this.#permits(follower)) continue;
      this.#followers.delete(follower);
      follower.end.abort(new Error('these bytes come from somebody else now, who has not been asked for this repository'));
    }
  }
}

/** Who cannot be named, or several. */
const SOMEBODY = '';
