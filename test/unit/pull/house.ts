import { createHash } from 'node:crypto';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { withPatientParts, withPatientReads } from '../../../src/blobs/with-patience.ts';
import { withVerification } from '../../../src/blobs/with-verification.ts';
import { createRecords } from '../../../src/metadata/records.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { Absences } from '../../../src/pull/absences.ts';
import type { Content, Reader } from '../../../src/pull/content.ts';
import type { PullEvent } from '../../../src/pull/events.ts';
import { createLeases } from '../../../src/pull/fill/lease.ts';
import { Blame } from '../../../src/pull/fill/sources.ts';
import { Fills } from '../../../src/pull/fills.ts';
import { tagBytes } from '../../../src/pull/lists/fallback-tag.ts';
import { createLists } from '../../../src/pull/lists.ts';
import { createLimits } from '../../../src/pull/limits.ts';
import { createNameParser } from '../../../src/pull/name.ts';
import { createAttempts } from '../../../src/auth/attempts.ts';
import { Passthrough } from '../../../src/pull/passthrough.ts';
import { Givers } from '../../../src/pull/givers.ts';
import { Prover } from '../../../src/pull/prove.ts';
import { createUnrecordedFills } from '../../../src/pull/fill/unrecorded.ts';
import { createPull, type PullTarget } from '../../../src/pull/pull.ts';
import type { Reply } from '../../../src/pull/reply.ts';
import { createRouter, type Route, type RoutePolicy } from '../../../src/pull/route.ts';
import { Ready } from '../../../src/pull/ready.ts';
import { SmallBlobs } from '../../../src/pull/small-blobs.ts';
import { Store } from '../../../src/pull/store.ts';
import { createAskTaken } from '../../../src/pull/taken.ts';
import { newTrace, type Trace } from '../../../src/pull/trace.ts';
import { Unowned } from '../../../src/pull/unowned.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata, type MemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

export interface HouseOptions {
  readonly chain: readonly Upstream[];
  readonly policy?: Partial<RoutePolicy>;
  /** What is hosted, and how it may be pushed; default: nothing. */
  readonly route?: Partial<Pick<Route, 'hosted' | 'alone' | 'push' | 'shadow' | 'asker'>>;
  /** Pulls of the rate limit that are kept for what is not held. */
  readonly reserve?: number;
  readonly disk?: MemoryDisk;
  /** A disk that is slow is given up, as in the house. */
  readonly impatient?: boolean;
  readonly metadata?: MemoryMetadata;
  readonly clock?: FakeClock;
  /** Distinguishes processes over one disk and store. */
  readonly process?: number;
  readonly isDead?: (holder: string) => boolean;
}

export interface Asked {
  readonly method?: 'GET' | 'HEAD';
  readonly range?: string;
  readonly ifRange?: string;
  readonly ifNoneMatch?: string;
  readonly signal?: AbortSignal;
  readonly trace?: Trace;
}

export type House = Awaited<ReturnType<typeof createHouse>>;

const POLICY: Omit<RoutePolicy, 'limits'> = {
  tagTtlMs: 300_000,
  staleMs: Infinity,
  retryMs: 10_000,
  negativeTtlMs: 30_000,
  hedge: false,
  hedgeTags: false,
  parallel: 1,
  immutable: (tag) => tag.startsWith('v'),
  offline: false,
  onDelete: 'keep',
  prefetch: false,
  platforms: [],
  asof: undefined,
  cooldownMs: 0,
  admission: undefined,
  open: true,
};

/** Nothing is hosted. */
const CLOSED = { hosted: false, alone: false, push: false, shadow: false };

/** The request path over fakes: everything but HTTP and sockets is real. Every name goes to the one chain. */
export async function createHouse(options: HouseOptions) {
  const clock = options.clock ?? createFakeClock();
  const disk = options.disk ?? createMemoryDisk({ now: () => clock.now() });
  const metadata = options.metadata ?? createMemoryMetadata();
  const random = createSeededRandom(1 + (options.process ?? 0));
  const events: PullEvent[] = [];
  const report = (event: PullEvent): void => void events.push(event);
  const verified = withVerification(await openDiskBlobStore({ disk, random, root: '/data', version: 'test' }), {
    clock,
    onDamaged: (digest, why) => report({ kind: 'quarantined', digest, why }),
  });
  const blobs = options.impatient === true ? withPatientParts(withPatientReads(verified, clock), clock) : verified;
  const records = createRecords(metadata, { clock });
  const store = new Store({ blobs, records, clock, random, report });
  const blame = new Blame(clock);
  const givers = new Givers({ records });
  const holder = `host ${options.process ?? 0} x`;
  const fills = new Fills({
    clock,
    random,
    blobs,
    records,
    report,
    blame,
    leases: createLeases(records, clock, holder, options.isDead ?? (() => false)),
    async keep({ part }, digest, size, provenance) {
      await store.keepBlob(part, digest, size, provenance);
      givers.note(digest, provenance);
    },
  });
  const unowned = new Unowned(clock);
  const smallBlobs = new SmallBlobs({ clock, store, unowned });
  const policy = { ...POLICY, limits: createLimits(options.chain, options.reserve ?? 0), ...options.policy };
  const deps = {
    clock,
    blobs,
    records,
    store,
    smallBlobs,
    ready: new Ready({ clock, records, store, blobs: smallBlobs }),
    fills,
    unrecordedFills: createUnrecordedFills({
      clock,
      random,
      blobs,
      report,
      blame,
      kept: (digest, provenance) => givers.note(digest, provenance),
    }),
    blame,
    report,
    prover: new Prover(clock, unowned),
    givers,
    absences: new Absences(clock),
    unowned,
    passthrough: new Passthrough({ clock, random, records, unowned, attempts: createAttempts(clock) }),
    router: createRouter([
      { name: 'denied', match: ['docker.io/evil/**'], deny: true, ...CLOSED, order: () => [], policy },
      {
        name: 'all',
        match: ['docker.io/**', 'quay.io/**'],
        deny: false,
        ...CLOSED,
        ...options.route,
        order: () => options.chain,
        policy,
      },
    ]),
  };
  const pulls = createPull(deps);
  const askTaken = createAskTaken(deps);
  const lists = createLists({ ...deps, random, fallbackTag: (name, tag, asker) => tagBytes(pulls.manifest, name, tag, asker) });
  const parse = createNameParser({
    default: 'docker.io',
    self: [],
    hosts: new Map(),
    prefixes: new Map(),
    aliases: new Map(),
    pathPrefix: '',
  });
  const ask = (path: string, asked: Asked = {}): Promise<Reply> => {
    const target = parse(path, undefined) as PullTarget;
    const { method = 'GET', signal = new AbortController().signal, trace = newTrace('1'), ...rest } = asked;
    return pulls.pull({ method, target, signal, trace, ...rest });
  };
  return {
    deps,
    clock,
    disk,
    metadata,
    blobs,
    records,
    fills,
    store,
    unowned,
    events,
    parse,
    lists,
    pulls,
    askTaken,
    ask,
    blob: (repository: string, digest: Digest, asked?: Asked) => ask(`/v2/${repository}/blobs/${digest}`, asked),
    manifest: (repository: string, reference: string, asked?: Asked) => ask(`/v2/${repository}/manifests/${reference}`, asked),
    counted: (kind: PullEvent['kind']) => events.filter((event) => event.kind === kind).length,
  };
}

export function contentOf(reply: Reply): { content: Content; from: number; to: number | undefined } {
  if (reply.body.kind !== 'content') throw new Error(`the reply has ${reply.body.kind}, not content`);
  return reply.body;
}

/** All that a reply brings, as the edge would send it; `broken` when its reader threw, with what came before. */
export async function drain(reply: Reply, signal = new AbortController().signal): Promise<{ bytes: Buffer; broken: unknown }> {
  if (reply.body.kind === 'bytes') return { bytes: Buffer.from(reply.body.bytes), broken: undefined };
  const { content, from, to } = contentOf(reply);
  const chunks: Buffer[] = [];
  let reader: Reader | undefined;
  try {
    reader = await content.open(from, to, signal);
    const buffer = Buffer.alloc(50_000);
    for (let count = await reader.read(buffer); count > 0; count = await reader.read(buffer)) {
      chunks.push(Buffer.from(buffer.subarray(0, count)));
    }
    return { bytes: Buffer.concat(chunks), broken: undefined };
  } catch (error) {
    return { bytes: Buffer.concat(chunks), broken: error };
  } finally {
    reader?.close();
  }
}

/** The bytes of a reply that must not break. */
export async function bytesOf(reply: Reply): Promise<Buffer> {
  const { bytes, broken } = await drain(reply);
  if (broken !== undefined) throw new Error('the reader broke', { cause: broken });
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** A promise and the function that fulfils it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

/** Lets promise chains run, without time passing. */
export async function settle(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
