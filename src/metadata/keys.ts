import { createHash } from 'node:crypto';
import type { Digest } from '../oci/digest.ts';
import type { InventoryPlace } from './inventory.ts';
import type { Key } from './metadata-store.ts';

/**
 * Every key that we write (architecture.md, decision 9). One slot is what one commit may span; `=` marks ordered collections,
 * the only ones that can be listed. Values are JSON (forms.ts).
 *
 *     slot                            collection    id                        value
 *     repository/docker.io/library/a  = tags        12.04                     TagRecord
 *                                     = history     12.04 ffffffff            TagMove; the number counts down
 *                                       released    12.04                     ReleaseRecord: what a cooldown lets through
 *                                     = links       sha256:…                  LinkRecord: grants the read
 *                                       described   sha256:…                  DescribedRecord: grants nothing
 *                                       listings    0 to 1023 (hash of key)   ListingRecord, with its key
 *                                       pulls       12.04, and * for all      PullCount
 *                                       owner       it                        OwnerRecord: what was pushed is here alone
 *                                       revision    it                        counts every change of what is hosted
 *                                       hosted-bytes it                       of what is hosted, each digest once
 *                                     = referrers   subject digest            ReferrerRecord
 *                                       withheld    12.04, sha256:…           deleted here, though an official registry's data has it
 *                                       upload      its id                    UploadRecord
 *                                     = outbox      ci 00000000002a           an event that receiver ci is still to be told
 *                                       outbox-last it                        the number of the last of them
 *     digest/sha256:…                   blob        it                        BlobRecord
 *                                     = holders     docker.io/library/a       the link's reverse entry
 *                                       part        docker.io                 PartRecord: of what that registry's upstreams bring
 *                                       lease       docker.io                 LeaseRecord, of the same; a dropped one keeps its fence
 *                                       use         it                        last use
 *                                       holds       it                        counts every writing of a reverse entry
 *     upstream/hub-a                    memory      any text                  MemoryRecord
 *     receiver/ci                     = waiting     00000000002a              a repository whose outbox holds one for ci, oldest first
 *                                       waiting-ends it                       the numbers of the first and of the next
 *                                       lease       it                        LeaseRecord: who delivers to ci
 *     task/collect                      lease       it                        LeaseRecord: who does it now
 *                                       bookmark    it                        Bookmark: how far it has come
 *     quota/hub                         sums        it                        QuotaSums: over what stands below
 *                                     = usages      docker.io/corp/app        what a repository of the route holds
 *                                     = reservations its id                   QuotaReservation: what is on its way
 *     catalogue                       = repositories docker.io/library/a      its name
 *     uploads                         = uploads     repository id             where an upload is, and since when
 *     hosted                          = digests     sha256:…                  a digest that collect has to look at
 *     cache                           = recent      00000000002a sha256:…     InventoryPlace: cached, oldest first
 *                                       entry       sha256:…                  InventoryEntry: its size, and where it stands there
 *                                     = aside       a part's id               bytes that are set aside for it
 *                                     = going       sha256:…                  being evicted
 *                                       sum         it                        CacheUsage: of all that
 *     pins                            = pins        docker.io/library/*       PinRecord: set by command, never evicted
 *     machine-tokens                  = machine-tokens its id                 MachineTokenRecord: of the secret only a hash
 *                                       machine-token-name ci-build           the id of the one that has the name
 *                                       machine-token-use its id              last use, to the minute
 *     signing                           keys        it                        SigningKeys: what our tokens are signed with
 *     sign-in/0123abc…                = refresh-tokens sha256, as hex         RefreshTokenRecord; the slot is its subject's, by hash
 *     admission/3f                    = verdicts    hash sha256:…             VerdictRecord; the slot is its repository's, by hash, and so
 *                                                                             is the id's first part: of what was asked, and where
 *                                     = let-in      hash sha256:… sha256:…    LetInRecord: content, and the manifest that lets it in
 *     official                          data        it                        what became of an official registry's data
 *     layout                            layout      it                        which version of this table holds
 *                                       epoch       it                        which store this is (with-epoch.ts)
 *
 * `waiting` is written before what it leads to in `outbox`, and looked for again after it: no commit spans the two, and an
 * event is never there without something that leads to it. Only as many may wait as `waiting` has places.
 *
 * A name or id that is longer than a key may be (or empty, or begins with the mark) stands as `~` and its sha256.
 */
export const ORDERED: ReadonlySet<string> = new Set([
  'tags',
  'history',
  'links',
  'holders',
  'repositories',
  'referrers',
  'uploads',
  'digests',
  'outbox',
  'waiting',
  'usages',
  'reservations',
  'recent',
  'aside',
  'going',
  'pins',
  'refresh-tokens',
  'machine-tokens',
  'verdicts',
  'let-in',
]);

/** Bytes of UTF-8 that a slot, a collection or an id may have. */
export const KEY_BYTES_MAX = 512;

/** The number of cached lists that a repository may have: clients choose the queries, so that it must not follow them. */
export const LISTINGS_MAX = 1024;

export const CATALOGUE_SLOT = 'catalogue';
export const UPLOADS_SLOT = 'uploads';
export const HOSTED_SLOT = 'hosted';
export const INVENTORY_SLOT = 'cache';
export const PINS_SLOT = 'pins';
export const SIGNING_SLOT = 'signing';
export const MACHINE_TOKENS_SLOT = 'machine-tokens';
export const OFFICIAL_SLOT = 'official';
export const LAYOUT_SLOT = 'layout';
/** A fixed number of them, so that all can be found without knowing of whom they are. */
export const ADMISSION_SLOTS: readonly string[] = Array.from(
  { length: 256 },
  (_, at) => `admission/${at.toString(16).padStart(2, '0')}`,
);
export const repositorySlot = (repository: string): string => bounded(`repository/${repository}`);
export const digestSlot = (digest: Digest): string => `digest/${digest}`;
export const upstreamSlot = (upstream: string): string => bounded(`upstream/${upstream}`);
export const taskSlot = (task: string): string => bounded(`task/${task}`);
export const quotaSlot = (route: string): string => bounded(`quota/${route}`);
export const receiverSlot = (receiver: string): string => bounded(`receiver/${receiver}`);
export const admissionSlot = (repository: string): string => ADMISSION_SLOTS[sha256(repository).readUInt8(0)] ?? '';
export const signInSlot = (owner: string): string => bounded(`sign-in/${owner}`);

export const tagKey = (tag: string): Key => ['tags', bounded(tag)];
export const historyKey = (tag: string, move: number): Key => ['history', `${historyStart(tag)}${countDown(move)}`];
export const releasedKey = (tag: string): Key => ['released', bounded(tag)];
export const linkKey = (digest: Digest): Key => ['links', digest];
export const describedKey = (digest: Digest): Key => ['described', digest];
export const listingKey = (key: string): Key => ['listings', String(sha256(key).readUInt16BE(0) % LISTINGS_MAX)];
export const pullsKey = (tag: string): Key => ['pulls', bounded(tag)];
export const ALL_PULLS_KEY: Key = ['pulls', '*'];
export const OWNER_KEY: Key = ['owner', 'it'];
export const REVISION_KEY: Key = ['revision', 'it'];
export const referrerKey = (subject: Digest, digest: Digest): Key => ['referrers', `${referrersStart(subject)}${digest}`];
export const HOSTED_BYTES_KEY: Key = ['hosted-bytes', 'it'];
export const QUOTA_SUMS_KEY: Key = ['sums', 'it'];
export const quotaUsageKey = (repository: string): Key => ['usages', bounded(repository)];
export const quotaReservationKey = (id: string): Key => ['reservations', bounded(id)];
export const uploadKey = (id: string): Key => ['upload', bounded(id)];
export const BLOB_KEY: Key = ['blob', 'it'];
export const holderKey = (repository: string): Key => ['holders', bounded(repository)];
export const partKey = (registry: string): Key => ['part', bounded(registry)];
export const fillLeaseKey = (registry: string): Key => ['lease', bounded(registry)];
export const LEASE_KEY: Key = ['lease', 'it'];
export const USE_KEY: Key = ['use', 'it'];
export const HOLDS_KEY: Key = ['holds', 'it'];
export const BOOKMARK_KEY: Key = ['bookmark', 'it'];
export const memoryKey = (key: string): Key => ['memory', bounded(key)];
export const catalogueKey = (repository: string): Key => ['repositories', bounded(repository)];
export const listedUploadKey = (repository: string, id: string): Key => ['uploads', bounded(`${repository} ${id}`)];
export const hostedKey = (digest: Digest): Key => ['digests', digest];
export const recentKey = ({ position, digest }: InventoryPlace): Key => ['recent', `${countUp(position)} ${digest}`];
export const inventoryEntryKey = (digest: Digest): Key => ['entry', digest];
export const asideKey = (part: string): Key => ['aside', bounded(part)];
export const goingKey = (digest: Digest): Key => ['going', digest];
export const SUM_KEY: Key = ['sum', 'it'];
export const pinKey = (text: string): Key => ['pins', bounded(text)];
export const machineTokenKey = (id: string): Key => ['machine-tokens', bounded(id)];
export const machineTokenNameKey = (name: string): Key => ['machine-token-name', bounded(name)];
export const machineTokenUseKey = (id: string): Key => ['machine-token-use', bounded(id)];
export const SIGNING_KEYS_KEY: Key = ['keys', 'it'];
export const refreshTokenKey = (hash: string): Key => ['refresh-tokens', bounded(hash)];
export const verdictKey = (scope: string, repository: string, digest: Digest): Key => [
  'verdicts',
  `${scopeStart(scope, repository)}${digest}`,
];
export const letInKey = (scope: string, repository: string, digest: Digest, by: Digest): Key => [
  'let-in',
  `${letInStart(scope, repository, digest)}${by}`,
];
export const withheldKey = (reference: string): Key => ['withheld', bounded(reference)];
export const OFFICIAL_KEY: Key = ['data', 'it'];
export const LAYOUT_KEY: Key = ['layout', 'it'];
export const EPOCH_KEY: Key = ['epoch', 'it'];
export const outboxKey = (receiver: string, number: number): Key => ['outbox', `${outboxStart(receiver)}${countUp(number)}`];
export const OUTBOX_LAST_KEY: Key = ['outbox-last', 'it'];
export const waitingKey = (number: number): Key => ['waiting', countUp(number)];
export const WAITING_ENDS_KEY: Key = ['waiting-ends', 'it'];

/** Where a receiver's events begin among the ids of `outbox`. Its name may have spaces, which end it here. */
export function outboxStart(receiver: string): string {
  const name = receiver.replaceAll('%', '%25').replaceAll(' ', '%20');
  return `${bounded(name, KEY_BYTES_MAX - 1 - NUMBER_DIGITS)} `;
}

/** The number that stands under an id of `waiting`. */
export function numberOf(id: string): number {
  return Number.parseInt(id, 16);
}

const NUMBER_DIGITS = 12;

/** Growing numbers, so that the oldest is the first in byte order; enough for milliseconds since the epoch. */
function countUp(number: number): string {
  return number.toString(16).padStart(NUMBER_DIGITS, '0');
}

/** Where a tag's moves begin among the ids of `history`: greater than all before them, less than each of them. */
export function historyStart(tag: string): string {
  return `${bounded(tag, KEY_BYTES_MAX - 9)} `;
}

/** Behind the last of a tag's moves among the ids of `history`, whose numbers are hexadecimal. */
export function historyEnd(tag: string): string {
  return `${historyStart(tag)}g`;
}

/** The tag of a `history` id: tags are shorter than what would stand as its hash. */
export function tagOf(id: string): string {
  return id.slice(0, -9);
}

/** Where what lets a digest in begins among the ids of `let-in`, as {@link historyStart}. */
export function letInStart(scope: string, repository: string, digest: Digest): string {
  return `${scopeStart(scope, repository)}${digest} `;
}

function scopeStart(scope: string, repository: string): string {
  return `${sha256(`${scope}\n${repository}`).toString('hex').slice(0, 32)} `;
}

/** Where a subject's referrers begin among the ids of `referrers`, as {@link historyStart}. */
export function referrersStart(subject: Digest): string {
  return `${subject} `;
}

/** The number of the move that stands under a `history` id. */
export function moveOf(id: string): number {
  return MOVES_MAX - Number.parseInt(id.slice(-8), 16);
}

const MOVES_MAX = 0xffff_ffff;

/** Falling numbers, so that the newest move is the first in byte order. */
function countDown(move: number): string {
  return (MOVES_MAX - move).toString(16).padStart(8, '0');
}

/** `text` where it fits into a key, else its hash; no two texts become the same. */
export function bounded(text: string, bytesMax: number = KEY_BYTES_MAX): string {
  const fits = text !== '' && !text.startsWith('~') && !text.includes('\0') && Buffer.byteLength(text) <= bytesMax;
  return fits ? text : `~${sha256(text).toString('hex')}`;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Throws RangeError for a slot, collection or id that no store can hold; every store calls it on what it is given. */
export function checkKeyPart(text: string): void {
  if (text === '' || text.includes('\0') || (text.length * 3 > KEY_BYTES_MAX && Buffer.byteLength(text) > KEY_BYTES_MAX)) {
    throw new RangeError(`a part of a metadata key must have 1 to ${KEY_BYTES_MAX} bytes and no NUL`);
  }
}

/** Throws RangeError for a collection that {@link ORDERED} does not declare: some stores keep no order for it. */
export function checkOrdered(collection: string): void {
  if (!ORDERED.has(collection)) throw new RangeError(`the collection ${collection} is not ordered, so it cannot be listed`);
}
