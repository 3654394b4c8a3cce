import type { Digest } from '../oci/digest.ts';
import { readManifest, type Manifest } from '../oci/manifest.ts';
import { noSuchName } from '../oci/no-such-name.ts';
import { sleep } from '../system/clock.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Balance } from './balance.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { fillOrder } from './fill.ts';
import type { Fill } from './fill/running-fill.ts';
import { lookupBlob, lookupManifest, type ManifestLink } from './lookup.ts';
import { absenceKey, readHeld, type ManifestAnswer, type ManifestRefusal } from './manifest.ts';
import { isOneOf } from './platforms.ts';
import { newTrace } from './trace.ts';
import { recentOnes } from './recent.ts';

/** At once, of all routes together: half of what may run without a reader (architecture.md, decision 14). */
const RUNNING_MAX = 4;

/** Waiting. What comes beyond is left to the clients that will ask for it. */
const QUEUE_MAX = 256;

/** A manifest that was looked into is not looked into again for so long, however often it is served. */
const SEEN_MS = 60_000;
const SEEN_MAX = 10_000;

/** An upstream that has so much of its concurrency in use is left alone: clients come first. */
const BUSY_MAX = 0.5;

/** How long one place of those that fill ahead waits for a judge's word about a child. */
const ADMISSION_MS = 20_000;

/** Clients that come at once have all taken their slots by then. */
const RECHECK_MS = 20;

/** A manifest by digest, by the same steps as a client's. */
export type ManifestByDigest = (pulling: Pulling, digest: Digest) => Promise<ManifestAnswer | ManifestRefusal>;

type Job =
  | { readonly kind: 'served'; readonly pulling: Pulling; readonly link: ManifestLink }
  | { readonly kind: 'child'; readonly pulling: Pulling; readonly digest: Digest }
  | { readonly kind: 'blob'; readonly pulling: Pulling; readonly digest: Digest; readonly size: number };

interface Running {
  readonly fill: Fill;
  readonly chain: readonly Upstream[];
  readonly registry: string;
}

/**
 * Fills what a manifest names as soon as it is served (`prefetch: layers`), so that the client's next requests find it here
 * or on its way. Nobody waits for it, and it gives way to those who do: its fills are orphans until a client joins, few at
 * once, none while disk or upstream have no room for them. What it leaves undone is simply fetched when it is asked for.
 */
export class Prefetch {
  readonly #deps: PullDeps;
  readonly #fetch: ManifestByDigest;
  readonly #seen = recentOnes<{ readonly until: number }>(SEEN_MAX);
  readonly #running = new Set<Running>();
  #queue: Job[] = [];
  #workers = 0;
  #rechecking = false;
  #stopped = false;
  /** Of all that was begun since the last `clear`. */
  #life = new AbortController();

  constructor(deps: PullDeps, fetch: ManifestByDigest) {
    this.#deps = deps;
    this.#fetch = fetch;
  }

  /** A manifest leaves for a client. Returns at once; the answer goes first. */
  served(pulling: Pulling, { digest, mediaType, size, source, hosted }: ManifestAnswer): void {
    if (hosted === true) return;
    const { prefetch, offline } = pulling.route.policy;
    if (!prefetch || offline || this.#stopped || pulling.method !== 'GET' || source.outcome === 'bypass') return;
    if (this.#wasSeen(`${pulling.route.name} ${pulling.holder} ${digest}`)) return;
    this.#add({ kind: 'served', pulling: background(pulling, this.#life.signal), link: { digest, mediaType, size } });
  }

  /** A client asks for something: what only this began gives way to it, where its upstreams have nothing left. */
  giveWay(wanted: Digest | undefined): void {
    if (this.#running.size === 0) return;
    this.#giveWay(wanted);
    if (this.#rechecking) return;
    this.#rechecking = true;
    void sleep(this.#deps.clock, RECHECK_MS).then(() => {
      this.#rechecking = false;
      this.#giveWay(undefined);
    });
  }

  /** Forgets what waits and parks what runs for nobody, as a reload wants it: other routes may hold from now on. */
  clear(): void {
    this.#life.abort(new Error('nothing is filled ahead for these routes any more'));
    this.#life = new AbortController();
    this.#queue = [];
    this.#seen.clear();
    for (const { fill } of this.#running) if (fill.isOrphan()) fill.park();
  }

  /** As `clear`, for good. */
  stop(): void {
    this.#stopped = true;
    this.clear();
  }

  #giveWay(wanted: Digest | undefined): void {
    for (const { fill, chain, registry } of this.#running) {
      if (fill.digest === wanted || !fill.isOrphan()) continue;
      if (chain.some((upstream) => upstream.standing(registry).busy >= 1)) fill.park();
    }
  }

  #wasSeen(key: string): boolean {
    const now = this.#deps.clock.monotonic();
    if (now < (this.#seen.get(key)?.until ?? 0)) return true;
    this.#seen.set(key, { until: now + SEEN_MS });
    return false;
  }

  #add(job: Job): void {
    if (job.pulling.signal.aborted || this.#stopped || this.#queue.length >= QUEUE_MAX) return;
    this.#queue.push(job);
    if (this.#workers >= RUNNING_MAX) return;
    this.#workers += 1;
    void this.#deps.unowned.track(this.#work());
  }

  async #work(): Promise<void> {
    await sleep(this.#deps.clock, 0);
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
      // Whoever asks for it will meet the same trouble, and be told of it.
      await this.#do(job).catch(() => undefined);
    }
    this.#workers -= 1;
  }

  async #do(job: Job): Promise<void> {
    if (job.kind === 'blob') return this.#fill(job);
    const manifest = job.kind === 'served' ? await this.#read(job.pulling, job.link) : await this.#child(job);
    if (manifest === undefined) return;
    const { pulling } = job;
    if (job.kind === 'child' && !(await this.#isLetIn(pulling, job.digest, manifest.mediaType))) return;
    const { platforms } = pulling.route.policy;
    for (const { digest, size, foreign } of manifest.blobs) if (!foreign) this.#add({ kind: 'blob', pulling, digest, size });
    if (job.kind === 'child') return;
    for (const { digest, platform } of manifest.children)
      if (isOneOf(platforms, platform)) this.#add({ kind: 'child', pulling, digest });
  }

  async #read(pulling: Pulling, link: ManifestLink | undefined): Promise<Manifest | undefined> {
    const held = link === undefined ? undefined : await readHeld(this.#deps, pulling, link.digest, link);
    if (held?.bytes === undefined) return undefined;
    const manifest = readManifest(held.bytes, held.mediaType);
    return manifest.kind === 'manifest' ? manifest : undefined;
  }

  /** Of a child that nobody has asked for yet somebody may have to be asked; whoever is asked fetches it then. */
  async #isLetIn(pulling: Pulling, digest: Digest, mediaType: string): Promise<boolean> {
    const { registry, repository, route, signal } = pulling;
    const { admission } = route.policy;
    if (admission === undefined) return true;
    const read = async (): Promise<Uint8Array> => {
      const link = await lookupManifest(this.#deps, pulling, digest);
      const held = await readHeld(this.#deps, pulling, digest, link);
      if (held?.bytes === undefined) throw noSuchName(pulling.holder);
      return held.bytes;
    };
    const asked = { registry, repository, tag: undefined, digest, mediaType, read, waitMs: ADMISSION_MS };
    return (await admission.manifest(asked, signal)) === undefined;
  }

  async #child({ pulling, digest }: Extract<Job, { kind: 'child' }>): Promise<Manifest | undefined> {
    const link = await lookupManifest(this.#deps, pulling, digest);
    const held = await this.#read(pulling, link);
    if (held !== undefined) return held;
    const chain = pulling.route.order(pulling.registry, 'content');
    if (pulling.route.policy.limits.isLow(pulling.registry) || !this.#mayAsk(pulling, chain)) return undefined;
    const answer = await this.#fetch(inOrder(pulling, chain), digest);
    return answer.kind === 'manifest' ? this.#read(pulling, answer) : undefined;
  }

  async #fill({ pulling, digest, size }: Extract<Job, { kind: 'blob' }>): Promise<void> {
    const { fills, absences } = this.#deps;
    const { registry, repository, route } = pulling;
    if ((await route.policy.admission?.blob({ registry, repository, digest })) !== undefined) return;
    const { kind } = await lookupBlob(this.#deps, pulling, digest);
    const isRunning = fills.isRunning({ registry, digest });
    // Bytes that another repository brought are here; the client's request proves them with a HEAD.
    if (kind !== 'missing' || isRunning || absences.get(absenceKey(pulling, 'blob', digest)) !== undefined) return;
    const chain = route.order(registry, 'content');
    if (!this.#mayAsk(pulling, chain)) return;
    const claim = await fills.claim(fillOrder(inOrder(pulling, chain), digest, size), pulling.signal);
    if (claim === undefined) return;
    const { fill, leave } = claim;
    const running = { fill, chain, registry };
    this.#running.add(running);
    leave();
    await fill.ended;
    this.#running.delete(running);
  }

  /** `chain`: whom it would be asked of. The first of them decides, as it is the one that will be asked. */
  #mayAsk({ registry, signal }: Pulling, [first]: readonly Upstream[]): boolean {
    if (signal.aborted || first === undefined || !this.#deps.fills.mayOrphan()) return false;
    const { up, busy, budget } = first.standing(registry);
    return up && busy < BUSY_MAX && budget !== 0;
  }
}

/** The first question goes to the chain as it was looked at: a balance takes a turn each time that it is asked. */
function inOrder(pulling: Pulling, chain: readonly Upstream[]): Pulling {
  const { route } = pulling;
  let looked: readonly Upstream[] | undefined = chain;
  const order: Balance = (registry, wanted) => {
    const next = looked ?? route.order(registry, wanted);
    looked = undefined;
    return next;
  };
  return { ...pulling, route: { ...route, order } };
}

/** Nobody's request: it ends with no client, and is told of in no record. */
function background(pulling: Pulling, signal: AbortSignal): Pulling {
  return {
    ...pulling,
    range: undefined,
    ifRange: undefined,
    ifNoneMatch: undefined,
    signal,
    trace: newTrace(pulling.trace.requestId),
  };
}
