import { parseDigest, type Digest } from '../oci/digest.ts';
import type * as inventory from './inventory.ts';
import type { PinRecord } from './records-pins.ts';
import type * as records from './records.ts';
import type { Bookmark } from './records-bookmarks.ts';
import type { LetInRecord, VerdictRecord } from './records-verdicts.ts';
import type { MachineTokenRecord } from './records-machine-tokens.ts';
import type { RefreshTokenRecord } from './records-refresh-tokens.ts';
import type { SigningKey } from './records-signing-keys.ts';

/** How a record stands in the store: JSON, of which only the fields that we know are taken, each of its type. */
export interface Form<T> {
  encode(record: T): Uint8Array;
  /** `undefined` for anything but a whole record. */
  decode(bytes: Uint8Array): T | undefined;
  /** Whether both say the same, in whatever order their fields stand. */
  same(a: T | undefined, b: T | undefined): boolean;
}

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string';
const digest: Check = (value) => typeof value === 'string' && parseDigest(value) !== undefined;
const sha256: Check = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
const count: Check = (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const time: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const flag: Check = (value) => typeof value === 'boolean';
const oneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    words.includes(value as string);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const texts: Check = (value) => typeof value === 'object' && value !== null && Object.values(value).every(text);

/** Unknown fields are left alone: a neighbouring version that shares the store may have written them. */
function form<T extends object>(checks: { readonly [K in keyof T]-?: Check }): Form<T> {
  const fields = Object.entries(checks) as readonly [string, Check][];
  return {
    encode: (record) => Buffer.from(JSON.stringify(record)),
    decode(bytes) {
      const value = parseObject(bytes);
      if (value === undefined) return undefined;
      // Each hit comes by here: no lists are made.
      const record: Record<string, unknown> = {};
      for (const [name, check] of fields) {
        const part = value[name];
        if (!check(part)) return undefined;
        if (part !== undefined) record[name] = part;
      }
      return record as T;
    },
    same(a, b) {
      if (a === undefined || b === undefined) return a === b;
      return fields.every(([name]) => JSON.stringify(a[name as keyof T]) === JSON.stringify(b[name as keyof T]));
    },
  };
}

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined; // Not JSON; the caller reports it.
  }
}

/** What it took to obtain it; {@link records.Needed}. */
const needed = optional(oneOf('nothing', 'account', 'client'));

export const tagForm = form<records.TagRecord>({
  digest,
  mediaType: text,
  size: count,
  checked: time,
  failed: optional(time),
  gone: optional(time),
  upstream: text,
  needed,
});

export const moveForm = form<records.TagMove>({
  at: time,
  asked: optional(time),
  digest,
  upstream: text,
  deleted: optional(flag),
});

export const releaseForm = form<records.ReleaseRecord>({ digest, at: time });

export const linkForm = form<records.LinkRecord>({
  kind: oneOf('manifest', 'blob'),
  size: count,
  mediaType: optional(text),
  by: oneOf('upstream', 'public', 'push', 'mount', 'import'),
  upstream: optional(text),
  claimed: optional(flag),
  needed,
  subject: optional(digest),
  at: time,
});

/**
 * The reverse entry of a link. The name stands in it because a long one's id is a hash; `hold` makes each writing of it
 * another value. `at`, of a push: when it was last written.
 */
export interface HolderRecord {
  readonly repository: string;
  readonly kind: 'manifest' | 'blob';
  readonly by: records.LinkRecord['by'];
  readonly hold?: number;
  readonly at?: number;
}

export const holderForm = form<HolderRecord>({
  repository: text,
  kind: oneOf('manifest', 'blob'),
  by: text,
  hold: optional(count),
  at: optional(time),
});

export const describedForm = form<records.DescribedRecord>({ size: count, mediaType: text, public: flag });

const broughtTo: Check = (value) => {
  if (typeof value !== 'object' || value === null) return false;
  const { registry, upstream } = value as Readonly<Record<string, unknown>>;
  return text(registry) && text(upstream);
};

export const blobForm = form<records.BlobRecord>({
  size: count,
  public: flag,
  state: oneOf('held', 'deleting', 'evicting'),
  at: time,
  brought: optional(broughtTo),
});

const brought: Check = (value) => {
  if (typeof value !== 'object' || value === null) return false;
  const { repository, anonymous, public: isPublic, upstream } = value as Readonly<Record<string, unknown>>;
  return text(repository) && flag(anonymous) && flag(isPublic) && optional(text)(upstream);
};

const prefix: Check = (value) => {
  if (typeof value !== 'object' || value === null) return false;
  const { bytes, digest } = value as Readonly<Record<string, unknown>>;
  return count(bytes) && text(digest);
};

export const partForm = form<records.PartRecord>({
  id: text,
  generation: count,
  synced: count,
  prefix: optional(prefix),
  size: optional(count),
  at: time,
  brought: optional(brought),
});

export const leaseForm = form<records.LeaseRecord>({
  holder: text,
  fence: count,
  until: time,
  part: optional(text),
  size: optional(count),
  frontier: optional(count),
  state: optional(oneOf('running', 'done', 'failed')),
  brought: optional(brought),
});

export const listingForm = form<records.ListingRecord & { readonly key: string }>({
  key: text,
  body: text,
  headers: texts,
  checked: time,
  failed: optional(time),
  upstream: text,
  needed,
});

export const useForm = form<{ readonly at: number; readonly bytes?: number }>({ at: time, bytes: optional(time) });

export const pullsForm = form<records.PullCount>({ pulls: count, last: time });

export const memoryForm = form<records.MemoryRecord>({ value: text, until: time });

export const catalogueForm = form<{ readonly repository: string }>({ repository: text });

export const layoutForm = form<{ readonly layout: number; readonly since: string }>({ layout: count, since: text });

export const epochForm = form<{ readonly epoch: string }>({ epoch: text });

export const outboxForm = form<{ readonly event: string }>({ event: text });

export const outboxLastForm = form<{ readonly last: number }>({ last: count });

export const waitingForm = form<{ readonly repository: string }>({ repository: text });

export const waitingEndsForm = form<{ readonly first: number; readonly next: number }>({ first: count, next: count });

export const uploadForm = form<records.UploadRecord>({
  part: text,
  offset: count,
  started: time,
  at: time,
  by: optional(text),
  writer: optional(text),
  until: optional(time),
});

/** Where an upload is. */
export const listedUploadForm = form<{ readonly repository: string; readonly id: string; readonly at: number }>({
  repository: text,
  id: text,
  at: time,
});

export const ownerForm = form<records.OwnerRecord>({ by: oneOf('push', 'import'), at: time });

export const referrerForm = form<records.ReferrerRecord>({
  mediaType: text,
  size: count,
  artifactType: optional(text),
  annotations: optional(texts),
});

/** Of `revision` and `holds`. */
export const counterForm = form<{ readonly count: number }>({ count });

export const hostedBytesForm = form<{ readonly bytes: number }>({ bytes: count });

export const quotaSumsForm = form<records.QuotaSums & { readonly count: number }>({
  used: count,
  reserved: count,
  count,
});

export const quotaUsageForm = form<{ readonly repository: string; readonly bytes: number }>({ repository: text, bytes: count });

export const quotaReservationForm = form<records.QuotaReservation & { readonly id: string }>({
  id: text,
  repository: text,
  bytes: count,
  at: time,
  upload: flag,
});

export const hostedForm = form<{ readonly digest: Digest }>({ digest });

export const withheldForm = form<{ readonly at: number }>({ at: time });

export const officialForm = form<{ readonly imported: number }>({ imported: time });

export const pinForm = form<PinRecord>({ text, at: time });

export const inventoryEntryForm = form<inventory.InventoryEntry>({ size: count, position: count });

/** `entered`: since it was begun. */
export const goingForm = form<{ readonly digest: Digest; readonly entered?: boolean }>({ digest, entered: optional(flag) });

export const recentForm = form<inventory.InventoryPlace>({ digest, size: count, position: count });

export const asideForm = form<{ readonly bytes: number }>({ bytes: count });

/** `changes`: counts every commit to the inventory. */
export const sumForm = form<inventory.CacheUsage & { readonly changes: number }>({
  bytes: count,
  blobs: count,
  reserved: count,
  changes: count,
});

export const bookmarkForm = form<Bookmark>({ started: time, at: optional(text), ended: optional(time) });

const signingKeys: Check = (value) =>
  Array.isArray(value) && value.every((key: SigningKey | null) => text(key?.id) && text(key?.secret) && time(key?.at));

export const signingKeysForm = form<{ readonly keys: readonly SigningKey[] }>({ keys: signingKeys });

export const refreshTokenForm = form<RefreshTokenRecord>({
  subject: text,
  fingerprint: optional(text),
  audience: text,
  created: time,
  used: time,
});

export const machineTokenForm = form<MachineTokenRecord>({
  id: text,
  name: text,
  hash: sha256,
  created: time,
  expires: optional(time),
});

export const machineTokenNameForm = form<{ readonly id: string }>({ id: text });

export const machineTokenUseForm = form<{ readonly at: number }>({ at: time });

export const verdictForm = form<VerdictRecord>({
  judge: text,
  fingerprint: text,
  repository: text,
  digest,
  admitted: flag,
  reason: text,
  at: time,
  used: time,
});

export const letInForm = form<LetInRecord>({ by: digest, at: time, until: optional(time) });
