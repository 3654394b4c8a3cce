import { join } from 'node:path';
import { hostname } from 'node:os';
import { openDiskBlobStore } from '../blobs/disk.ts';
import { probeDataDirectory } from '../blobs/probe.ts';
import type { BlobStore, VerifiedBlobStore } from '../blobs/blob-store.ts';
import { Patience } from '../blobs/patience.ts';
import { withPatientParts, withPatientReads } from '../blobs/with-patience.ts';
import { withVerification } from '../blobs/with-verification.ts';
import type { Config, RedisConfig } from '../config/config.ts';
import { imageOf, rememberNeeds } from '../evict/image.ts';
import type { CacheLimits } from '../evict/limits.ts';
import { Room } from '../evict/room.ts';
import { withInventory, withRoom } from '../evict/with-room.ts';
import { createDump, type Dump } from '../metadata/dump.ts';
import { openLmdb } from '../metadata/lmdb.ts';
import type { MetadataStore } from '../metadata/metadata-store.ts';
import { HOSTED, createRecords, type Records } from '../metadata/records.ts';
import { withEpoch, type EpochRecords } from '../metadata/with-epoch.ts';
import type { ReportMetadata } from '../metadata/events.ts';
import { MetadataRefused } from '../metadata/unavailable.ts';
import type { RedisStoreOptions } from '../metadata/redis.ts';
import { timed } from '../observe/timed.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import { remoteFileSystem } from '../system/file-system-type.ts';
import { randomId, type Random } from '../system/random.ts';
import { epochFile } from './epoch-file.ts';
import { isRunning } from '../system/process.ts';

/** A disk that takes longer to keep one small file is in trouble. */
const PROBE_MS = 5_000;

export interface StorageDeps {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly random: Random;
  readonly version: string;
  readonly report: ReportMetadata;
  /** A held file was found damaged by who read it, and moved away. */
  readonly onDamaged: (digest: Digest, why: string) => void;
  /** How large the cache may be; asked each time. */
  readonly limits: () => CacheLimits;
  /** What other processes have set aside on this disk and not written yet. */
  readonly unwrittenElsewhere?: () => Promise<number>;
  /** Told how long each call of either store took, seconds. */
  readonly onBlobs: (action: string) => (seconds: number) => void;
  readonly onMetadata: (op: string) => (seconds: number) => void;
}

export interface Storage {
  /** Everything that is held; what is pushed is written here. */
  readonly blobs: VerifiedBlobStore;
  /** The same as the cache sees it, whose every byte room is made for first. */
  readonly cached: VerifiedBlobStore;
  /** As the disk has it: what leaves it here leaves no inventory. */
  readonly files: BlobStore;
  readonly room: Room;
  readonly records: Records;
  /** The same, as they stand here, where each is told in the turn it is asked in: not by a server elsewhere, nor from an official registry's data. */
  readonly instant: Pick<Records, 'tag' | 'link'> | undefined;
  /**
   * Names this process, once, in everything that one process does at a time: two names of one process would take each other
   * for a ghost, since of a number that is its own another holder must be an earlier process's.
   */
  readonly holder: string;
  readonly isDead: (holder: string) => boolean;
  /** The metadata came back as others than those that pushes were recorded in. */
  hasForgotten(): boolean;
  /** The metadata as text: for backups. */
  readonly dump: Dump;
  /** Writes and reads back a small file; rejects when the disk cannot keep anything now. */
  probe(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the data directory and the metadata; rejects with what kept either from opening, having closed the other. */
export async function openStorage(config: Config, deps: StorageDeps): Promise<Storage> {
  const { clock, disk, random, version } = deps;
  const root = config.storage.rootdirectory;
  const now = (): number => clock.monotonic();
  const files = timed(await openDiskBlobStore({ disk, random, root, version }), now, deps.onBlobs);
  try {
    const store = timed(await openMetadata(config, deps), now, deps.onMetadata);
    const storage = storageOver(config, { files, store }, deps);
    await refuseNewer(storage.records);
    return storage;
  } catch (error) {
    await files.close();
    throw error;
  }
}

/** The same over stores that are open, whatever stands behind them. Nothing is asked of them yet. */
export function storageOver(
  config: Config,
  { files, store }: { readonly files: BlobStore; readonly store: MetadataStore },
  deps: Pick<StorageDeps, 'clock' | 'disk' | 'random' | 'report' | 'onDamaged' | 'limits' | 'unwrittenElsewhere'>,
): Storage {
  const { clock, disk, random, report, onDamaged, limits, unwrittenElsewhere } = deps;
  const root = config.storage.rootdirectory;
  const needs = rememberNeeds(files);
  const plain: Records = createRecords(store, {
    clock,
    report,
    imageOf: (repository, digest) => imageOf({ blobs: files, records: plain, needs }, repository, digest),
  });
  const records: EpochRecords = withEpoch(plain, {
    file: epochFile({ disk, random, path: join(root, 'entrepot', 'epoch') }),
    newEpoch: () => randomId(random),
    mixed: config.routes.some(({ upstreams }) => upstreams.length > 1 && upstreams.includes(HOSTED)),
    report,
  });
  const looking = new Patience(clock, PROBE_MS);
  const room = new Room({
    clock,
    blobs: files,
    records,
    limits,
    ...(unwrittenElsewhere === undefined ? {} : { unwrittenElsewhere }),
  });
  const blobs = withVerification(withInventory(withPatientReads(files, clock), room), { clock, onDamaged });
  const holder = holderName(random);
  return {
    holder,
    isDead: isDeadHolder(holder),
    blobs,
    cached: withPatientParts(withRoom(blobs, room), clock),
    files,
    room,
    records,
    instant: config.metadata.kind === 'lmdb' ? records : undefined,
    dump: createDump(store),
    hasForgotten: () => records.hasForgotten(),
    probe: () => looking.limit('a probe', probeDataDirectory({ disk, clock, random, root })),
    async close() {
      await records.close();
      await files.close();
    },
  };
}

/** A layout that only a newer version reads, or a server that would lose keys, is a reason not to start; being down is not. */
async function refuseNewer(records: Records): Promise<void> {
  try {
    await records.ping();
  } catch (error) {
    if (error instanceof MetadataRefused) throw error;
  }
}

async function openMetadata(config: Config, { clock, disk }: StorageDeps): Promise<MetadataStore> {
  const { metadata } = config;
  if (metadata.kind === 'redis') {
    // What is not configured is not loaded: the client costs 6 MB.
    const { openRedis } = await import('../metadata/redis.ts');
    return openRedis({ ...redisOptions(metadata.redis), clock });
  }
  const directory = metadata.path ?? join(config.storage.rootdirectory, 'entrepot', 'metadata');
  return openLmdb({ directory, disk, remoteFileSystem });
}

function redisOptions({ addrs, username, password, db, tls }: RedisConfig): Omit<RedisStoreOptions, 'clock'> {
  return {
    addrs,
    db,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: password.reveal() }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            ...(tls.ca === undefined ? {} : { ca: [tls.ca] }),
            ...(tls.certificate === undefined ? {} : { certificate: tls.certificate }),
            ...(tls.key === undefined ? {} : { key: tls.key.reveal() }),
          },
        }),
  };
}

/** Names this process among all that share a store: where it runs, its number there, and a word that no other one has. */
function holderName(random: Random): string {
  return `${hostname()} ${process.pid} ${randomId(random)}`;
}

/** True for a process of this machine that runs no more; also for an earlier one that had our own number, as in containers. */
function isDeadHolder(self: string): (holder: string) => boolean {
  const [host, pid] = self.split(' ');
  return (holder) => {
    const [theirHost, theirPid] = holder.split(' ');
    if (holder === self || theirHost !== host) return false;
    return theirPid === pid || !isRunning(Number(theirPid));
  };
}
