import type { Digest } from '../../src/oci/digest.ts';
import { closureOf, IMAGES, imageByDigest, INDEX, SIGNATURE, type SimImage } from './content.ts';
import { Register, type Writing } from './register.ts';

/** How long what nothing needs is kept (evict/collect.ts). */
const GRACE_MS = 3_600_000;

/** A question whether something is here makes its link younger at most so often (pull/hosted.ts). */
const RENEW_MS = 1_800_000;

const HERE = 'here';

export type HostedKind = 'blob' | 'manifest';

/** All that is pushed and deleted as one request; ended once. */
export interface Change {
  acknowledged(): void;
  /** Refused, broken off, or nobody knows. */
  unknown(): void;
}

/**
 * What pushing clients were told, and so what must be readable: blobs, manifests and tags of hosted repositories, each a
 * {@link Register}. Repositories with their registries.
 */
export class Hosted {
  readonly #registers = new Map<string, Register>();
  /** By register: the latest wall time since when nobody may collect it. */
  readonly #needed = new Map<string, number>();
  readonly #wall: () => number;
  readonly #now: () => number;
  readonly #open = new Map<Change, { readonly began: number; readonly writings: readonly Writing[] }>();

  constructor(wall: () => number, now: () => number) {
    this.#wall = wall;
    this.#now = now;
  }

  content(repository: string, kind: HostedKind, digest: string): Register {
    return this.#register(`${repository} ${kind} ${digest}`);
  }

  /** As `content`, where it was ever pushed or deleted. */
  known(repository: string, kind: HostedKind, digest: string): Register | undefined {
    return this.#registers.get(`${repository} ${kind} ${digest}`);
  }

  tag(repository: string, tag: string): Register {
    return this.#register(`${repository} tag ${tag}`);
  }

  /** Those that may be pushed to; a deletion may be asked of any. */
  repositories(): readonly string[] {
    const all = [...new Set([...this.#registers.keys()].map((key) => key.split(' ')[0]!))];
    return all.filter((repository) => !repository.startsWith('docker.io/'));
  }

  /** Digests of a kind, or tags, that were ever written or asked for. */
  names(repository: string, kind: HostedKind | 'tag'): readonly string[] {
    const start = `${repository} ${kind} `;
    return [...this.#registers.keys()].filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
  }

  /** Somewhere it was pushed, or may have been. */
  mayHold(digest: Digest): boolean {
    return [...this.#registers].some(([key, register]) => key.endsWith(` ${digest}`) && register.mayBe(HERE));
  }

  /** A blob that is pushed or mounted. */
  pushBlob(repository: string, digest: Digest): Change {
    const key = `${repository} blob ${digest}`;
    return this.#change([this.#register(key).write(HERE)], [key]);
  }

  /** A manifest, with its tags; what it needs is needed from now on. */
  pushManifest(repository: string, digest: Digest, tags: readonly string[]): Change {
    const image = imageByDigest(digest);
    const needs = image === undefined ? [] : closureOf(image);
    const touched = needs.flatMap((need) => [`${repository} blob ${need}`, `${repository} manifest ${need}`]);
    const manifest = this.content(repository, 'manifest', digest).write(HERE);
    const registers = tags.map((tag) => this.tag(repository, tag));
    const change = this.#change([manifest, ...registers.map((tag) => tag.write(digest))], touched);
    return {
      ...change,
      acknowledged() {
        change.acknowledged();
        // A deletion of it, meanwhile, may have taken the tags along.
        if (manifest.overlapped) for (const tag of registers) tag.maybe(undefined);
      },
    };
  }

  /** With every tag that points to it. */
  deleteManifest(repository: string, digest: Digest): Change {
    const tags = this.names(repository, 'tag').map((tag) => this.tag(repository, tag));
    const pointing = tags.filter((tag) => tag.mayBe(digest));
    const certain = pointing.filter((tag) => tag.is(digest));
    const writings = [this.content(repository, 'manifest', digest), ...certain].map((register) => register.write(undefined));
    for (const tag of pointing) tag.maybe(undefined);
    return this.#change(writings, []);
  }

  deleteTag(repository: string, tag: string): Change {
    return this.#change([this.tag(repository, tag).write(undefined)], []);
  }

  deleteBlob(repository: string, digest: Digest): Change {
    return this.#change([this.content(repository, 'blob', digest).write(undefined)], []);
  }

  /** Somebody was told at `wall` that it is here, and may push what needs it: it stays for a while. */
  told(repository: string, kind: HostedKind, digest: Digest, wall: number): void {
    const key = `${repository} ${kind} ${digest}`;
    this.#needed.set(key, Math.max(this.#needed.get(key) ?? -Infinity, wall - RENEW_MS));
  }

  died(): void {
    for (const change of this.#open.keys()) change.unknown();
    for (const register of this.#registers.values()) register.died();
  }

  /**
   * A collection ran, whose clock never showed more than `wallMax`: what no kept manifest needs, and was not pushed or asked
   * for within the grace before, may be gone.
   */
  collected(wallMax: number, deleteUntagged: boolean): void {
    // What was written before the grace, as the clock has it since, may have been taken before its pusher was told of it.
    for (const { began, writings } of this.#open.values())
      if (began <= wallMax - GRACE_MS) for (const writing of writings) writing.overlapped = true;
    for (const repository of this.repositories()) {
      const kept = this.#certainlyKept(repository, deleteUntagged);
      for (const kind of ['blob', 'manifest'] as const) {
        for (const digest of this.names(repository, kind)) {
          if (!this.#isYoung(repository, kind, digest, wallMax) && !kept.has(digest))
            this.content(repository, kind, digest).maybe(undefined);
        }
      }
    }
  }

  /** A collection that runs may have taken it already: as it would be told by {@link collected}. */
  mayBeTaken(repository: string, kind: HostedKind, digest: string, wallMax: number, deleteUntagged: boolean): boolean {
    if (this.#isYoung(repository, kind, digest, wallMax)) return false;
    return !this.#certainlyKept(repository, deleteUntagged).has(digest);
  }

  #isYoung(repository: string, kind: HostedKind, digest: string, wallMax: number): boolean {
    return (this.#needed.get(`${repository} ${kind} ${digest}`) ?? -Infinity) > wallMax - GRACE_MS;
  }

  #certainlyKept(repository: string, deleteUntagged: boolean): ReadonlySet<string> {
    const roots = this.names(repository, 'tag').flatMap((tag) => {
      const values = [...this.tag(repository, tag).values];
      return values.length === 1 && values[0] !== undefined ? [values[0] as Digest] : [];
    });
    const isHere = ({ manifest }: SimImage): boolean => this.known(repository, 'manifest', manifest.digest)?.is(HERE) === true;
    const manifests = [...IMAGES, INDEX, SIGNATURE].filter(isHere);
    const untagged = deleteUntagged ? [] : manifests.map(({ manifest }) => manifest.digest);
    const kept = new Set<string>();
    for (const root of [...roots, ...untagged]) for (const digest of closureOf(imageByDigest(root)!, isHere)) kept.add(digest);
    // A signature of what is kept is kept.
    if (isHere(SIGNATURE) && kept.has(IMAGES[0]!.manifest.digest)) for (const digest of closureOf(SIGNATURE)) kept.add(digest);
    return kept;
  }

  #change(writings: readonly Writing[], needed: readonly string[]): Change {
    const began = this.#wall();
    const end = (isAcknowledged: boolean): void => {
      if (!this.#open.delete(change)) return;
      for (const writing of writings) writing.end(isAcknowledged);
      if (!isAcknowledged) return;
      const at = Math.min(began, this.#wall());
      for (const key of needed) this.#needed.set(key, Math.max(this.#needed.get(key) ?? -Infinity, at));
    };
    const change: Change = { acknowledged: () => end(true), unknown: () => end(false) };
    this.#open.set(change, { began, writings });
    return change;
  }

  #register(key: string): Register {
    const known = this.#registers.get(key) ?? new Register(undefined, this.#now);
    this.#registers.set(key, known);
    return known;
  }
}
