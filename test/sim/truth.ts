import type { Digest } from '../../src/oci/digest.ts';
import { IMAGES, INDEX, SIGNATURE, SPY, closureOf, names, imageOf, allImages, type SimImage } from './content.ts';

/** What one upstream holds of one repository, now. */
export interface TruthRepository {
  /** Asked for with credentials: what is obtained here is nobody else's. */
  readonly isPrivate: boolean;
  readonly blobs: Set<Digest>;
  readonly manifests: Set<Digest>;
  readonly tags: Map<string, Digest>;
}

interface TagValue {
  readonly at: number;
  readonly digest: Digest | undefined;
}

/**
 * What the upstreams really have, and ever had: what answers are judged by. Repositories are named without their registry
 * here, since each upstream serves one.
 */
export class Truth {
  readonly #upstreams = new Map<string, Map<string, TruthRepository>>();
  /** `upstream repository reference` of all that was ever there. */
  readonly #ever = new Set<string>();
  readonly #public = new Set<Digest>();
  /** When something was last moved or taken away. */
  changedAt = -Infinity;
  readonly #tags = new Map<string, TagValue[]>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    for (const upstream of ['hub-a', 'hub-b']) {
      this.#add(upstream, 'library/a', [IMAGES[0]!, IMAGES[1]!, INDEX, SIGNATURE], { latest: 'i0', v1: 'i1', multi: 'x0' });
      this.#add(upstream, 'library/b', [IMAGES[1]!, IMAGES[2]!], { latest: 'i2' });
      this.#add(upstream, 'priv/x', [IMAGES[3]!], { latest: 'i3' }, true);
      this.#add(upstream, 'spy/y', [SPY], { latest: 'spy' });
    }
    this.#add('hub-b', 'library/c', [IMAGES[4]!, IMAGES[5]!], { latest: 'i4' });
    this.#add('quay', 'q/c', [IMAGES[2]!, IMAGES[4]!], { latest: 'i4', old: 'i2' });
    this.#add('hub-c', 'base/w', [IMAGES[5]!, IMAGES[0]!], { latest: 'i5' });
    this.#add('hub-c', 'taken/z', [IMAGES[0]!], { latest: 'i0' });
  }

  repository(upstream: string, repository: string): TruthRepository | undefined {
    return this.#upstreams.get(upstream)?.get(repository);
  }

  /** A tag points elsewhere now; what it points to is there with it. */
  move(upstream: string, repository: string, tag: string, name: string): void {
    const found = this.repository(upstream, repository);
    if (found === undefined) return;
    const image = imageOf(name);
    this.#changed();
    this.#hold(upstream, repository, found, image);
    this.#setTag(upstream, repository, found, tag, image.manifest.digest);
  }

  /** The tag is gone; what it pointed to stays. */
  untag(upstream: string, repository: string, tag: string): void {
    const found = this.repository(upstream, repository);
    this.#changed();
    if (found?.tags.has(tag) === true) this.#setTag(upstream, repository, found, tag, undefined);
  }

  /** A blob is gone from the repository. */
  vanish(upstream: string, repository: string, digest: Digest): void {
    this.#changed();
    this.repository(upstream, repository)?.blobs.delete(digest);
    this.repository(upstream, repository)?.manifests.delete(digest);
  }

  /** Whether any of the upstreams ever had it under the repository. */
  everHad(upstreams: readonly string[], repository: string, digest: Digest): boolean {
    return upstreams.some((upstream) => this.#ever.has(`${upstream} ${repository} ${digest}`));
  }

  /** A manifest that was ever there names it. */
  everDescribed(upstreams: readonly string[], repository: string, digest: Digest): boolean {
    return allImages().some((image) => names(image, digest) && this.everHad(upstreams, repository, image.manifest.digest));
  }

  /** Somewhere it may be had without credentials. */
  isPublic(digest: Digest): boolean {
    return this.#public.has(digest);
  }

  /** Every digest that the tag pointed to at some instant since `since` (`undefined`: it was not there). */
  tagValues(upstream: string, repository: string, tag: string, since: number): ReadonlySet<Digest | undefined> {
    const values = this.#tags.get(`${upstream} ${repository} ${tag}`) ?? [{ at: -Infinity, digest: undefined }];
    const last = values.findLastIndex(({ at }) => at <= since);
    return new Set(values.slice(Math.max(0, last)).map(({ digest }) => digest));
  }

  #add(
    upstream: string,
    repository: string,
    images: readonly SimImage[],
    tags: Record<string, string>,
    isPrivate = false,
  ): void {
    const repositories = this.#upstreams.get(upstream) ?? new Map<string, TruthRepository>();
    this.#upstreams.set(upstream, repositories);
    const found: TruthRepository = { isPrivate, blobs: new Set(), manifests: new Set(), tags: new Map() };
    repositories.set(repository, found);
    for (const image of images) this.#hold(upstream, repository, found, image);
    for (const [tag, name] of Object.entries(tags))
      this.#setTag(upstream, repository, found, tag, imageOf(name).manifest.digest);
  }

  #hold(upstream: string, repository: string, found: TruthRepository, image: SimImage): void {
    for (const child of [image, ...image.children]) {
      found.manifests.add(child.manifest.digest);
      for (const { digest } of child.blobs) found.blobs.add(digest);
    }
    for (const digest of closureOf(image)) {
      this.#ever.add(`${upstream} ${repository} ${digest}`);
      if (!found.isPrivate) this.#public.add(digest);
    }
  }

  #changed(): void {
    this.changedAt = this.#now();
  }

  #setTag(upstream: string, repository: string, found: TruthRepository, tag: string, digest: Digest | undefined): void {
    if (digest === undefined) found.tags.delete(tag);
    else found.tags.set(tag, digest);
    const key = `${upstream} ${repository} ${tag}`;
    const values = this.#tags.get(key) ?? [];
    this.#tags.set(key, [...values, { at: values.length === 0 ? -Infinity : this.#now(), digest }]);
  }
}
