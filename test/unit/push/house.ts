import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { createRecords, type Records } from '../../../src/metadata/records.ts';
import type { BlobStore } from '../../../src/blobs/blob-store.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { BodyCut, type PushBody } from '../../../src/push/body.ts';
import type { PushDeps } from '../../../src/push/deps.ts';
import type { Change, PushEvent } from '../../../src/push/events.ts';
import {
  createPush,
  type Push,
  type PushName,
  type PushReply,
  type PushRequest,
  type PushTarget,
} from '../../../src/push/push.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata, type MemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

export interface HouseOptions extends Partial<PushDeps> {
  readonly disk?: MemoryDisk;
  readonly metadata?: MemoryMetadata;
  readonly clock?: FakeClock;
  /** Distinguishes processes over one disk and store. */
  readonly process?: number;
}

export interface House {
  readonly push: Push;
  readonly clock: FakeClock;
  readonly disk: MemoryDisk;
  readonly metadata: MemoryMetadata;
  readonly blobs: BlobStore;
  readonly records: Records;
  readonly events: PushEvent[];
  readonly changes: Change[];
  ask(method: PushRequest['method'], path: string, body?: Uint8Array | PushBody, headers?: Headers): Promise<PushReply>;
  /** As `ask`; yields `416 RANGE_INVALID` for a refusal. */
  refusal(...asked: Parameters<House['ask']>): Promise<string>;
  /** Begins an upload of `team/app`; yields its path. */
  begin(): Promise<string>;
}

type Headers = {
  readonly contentType?: string;
  readonly contentRange?: string;
  readonly by?: string;
  readonly signal?: AbortSignal;
};

export const HOLDER = 'local/team/app';
export const APP = '/v2/team/app';

/** The push room over fakes: disk, metadata and clock are scripted, all else is real. Everything may be pushed. */
export async function createHouse(options: HouseOptions = {}): Promise<House> {
  const clock = options.clock ?? createFakeClock();
  const disk = options.disk ?? createMemoryDisk({ now: () => clock.now() });
  const metadata = options.metadata ?? createMemoryMetadata();
  const random = createSeededRandom(1 + (options.process ?? 0));
  const blobs = await openDiskBlobStore({ disk, random, root: '/data', version: 'test' });
  const records = createRecords(metadata, { clock });
  const events: PushEvent[] = [];
  const changes: Change[] = [];
  const route = { name: 'own', deny: false, hosted: true, push: true, policy: { immutable: () => false } };
  const push = createPush({
    clock,
    random,
    blobs,
    records,
    report: (event) => void events.push(event),
    notify: (change) => void changes.push(change),
    holder: `host ${options.process ?? 0} x`,
    isDead: () => false,
    router: () => route,
    readOnly: () => false,
    rules: () => ({ children: 'all', blobs: 'all', urls: undefined }),
    mayDelete: () => true,
    uploadsMax: () => undefined,
    isServed: () => true,
    isLetIn: () => Promise.resolve(true),
    stillShows: async () => true,
    admit: () => Promise.resolve(),
    adopt: () => Promise.resolve(),
    ...options,
  });
  const ask: House['ask'] = (method, path, body, headers) => push(requestOf(method, path, body, headers));
  return {
    push,
    clock,
    disk,
    metadata,
    blobs,
    records,
    events,
    changes,
    ask,
    async refusal(...asked) {
      const reply = await ask(...asked).catch((error: unknown) => error);
      if (reply instanceof RegistryError) return `${reply.status} ${reply.code}`;
      throw reply instanceof Error ? reply : new Error('it was not refused');
    },
    begin: async () => (await ask('POST', `${APP}/blobs/uploads/`)).headers['location']!,
  };
}

function requestOf(
  method: PushRequest['method'],
  path: string,
  body: Uint8Array | PushBody = new Uint8Array(),
  { contentType, contentRange, by = 'address:127.0.0.1', signal = new AbortController().signal }: Headers = {},
): PushRequest {
  const url = new URL(path, 'http://x');
  return {
    method,
    target: targetOf(url.pathname),
    query: url.searchParams,
    contentType,
    contentRange,
    body: body instanceof Uint8Array ? bodyOf([body], body.length) : body,
    nameOf: (text) => nameOf(text),
    mayPull: () => true,
    requester: { id: '1', addr: '127.0.0.1', host: 'x', method, useragent: undefined },
    by,
    address: undefined,
    signal,
    trace: newTrace('1'),
  };
}

function nameOf(repository: string): PushName {
  return { registry: 'local', repository, shown: repository, base: `/v2/${repository}`, ns: undefined };
}

function targetOf(path: string): PushTarget {
  const [, repository = '', kind, last = ''] = /^\/v2\/(.+)\/(manifests|blobs\/uploads|blobs)\/([^/]*)$/.exec(path) ?? [];
  const name = nameOf(repository);
  if (kind === 'manifests') return { kind: 'manifest', name, reference: parseReference(last)! };
  if (kind === 'blobs') return { kind: 'blob', name, digest: parseDigest(last)! };
  return { kind: 'upload', name, session: last === '' ? undefined : last };
}

/** A body that comes in these pieces. */
export function bodyOf(pieces: readonly Uint8Array[], length?: number): PushBody {
  const left = [...pieces];
  return { length, next: () => Promise.resolve(left.shift()) };
}

/** A body that is sent piece by piece, as the test says; `cut` breaks it off. */
export function slowBody(): PushBody & { send(piece: Uint8Array): void; end(): void; cut(): void } {
  const sent: (Uint8Array | undefined | BodyCut)[] = [];
  let wake: () => void = () => undefined;
  const add = (what: Uint8Array | undefined | BodyCut): void => {
    sent.push(what);
    wake();
  };
  return {
    length: undefined,
    async next() {
      while (sent.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      const next = sent.shift();
      if (next instanceof BodyCut) throw next;
      return next;
    },
    send: add,
    end: () => add(undefined),
    cut: () => add(new BodyCut('the client has gone')),
  };
}

/** The bytes that are held under a digest; `undefined` for none. */
export async function heldBytes(blobs: BlobStore, digest: Parameters<BlobStore['open']>[0]): Promise<Buffer | undefined> {
  const file = await blobs.open(digest);
  if (file === undefined) return undefined;
  try {
    const bytes = Buffer.alloc(file.size);
    for (let at = 0; at < bytes.length;) {
      const count = await file.read(bytes.subarray(at), at);
      if (count === 0) throw new Error('the file ends before its size');
      at += count;
    }
    return bytes;
  } finally {
    file.close();
  }
}
