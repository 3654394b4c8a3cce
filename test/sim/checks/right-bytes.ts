import { parseDigest } from '../../../src/oci/digest.ts';
import { BYTES, shortName } from '../content.ts';
import { isStolen } from '../network.ts';
import type { Answer } from '../puller.ts';
import { answerText } from '../pull-image.ts';
import type { Check, Faults } from './check.ts';
import type { World } from '../world.ts';

/** What is verified before its first byte leaves, where its size is known (pull/fill/growing.ts). */
const SMALL_BYTES = 256 * 1024;
/** What nobody gets of any other blob before it is verified. */
const TAIL_BYTES = 64 * 1024;

/** Verified or broken, never wrong: to clients, and on disk. */
export const rightBytes: Check = {
  of: 'promise 1, I1',
  // What a liar's HEAD says of a length nobody can verify.
  onAnswer: (world, answer) => (answer.wish.method === 'HEAD' && world.liedAt > -Infinity ? undefined : judge(world, answer)),
  onStep: (world) => onDisk(world),
};

const BLOB = /^\/data\/entrepot\/blobs\/(sha256|sha512)\/[0-9a-f]{2}\/([0-9a-f]+)$/;

/** No byte string is kept under a digest that it does not hash to. */
function onDisk({ machine, rotten, shortened }: World): Faults {
  return [...machine.disk.peek()].flatMap(([path, bytes]) => {
    if (!path.startsWith('/data/entrepot/blobs/')) return [];
    const [, algorithm, hex] = BLOB.exec(path) ?? [];
    const digest = parseDigest(`${algorithm}:${hex}`);
    const right = digest && BYTES.get(digest);
    if (digest === undefined || right === undefined) return [`${path} is no blob`];
    if (rotten.has(digest) || shortened.has(digest) || right.equals(bytes)) return [];
    return [`${shortName(digest)} is wrong on disk: ${bytes.length} bytes`];
  });
}

/**
 * A file is known to be right as it was when it was opened (src/README.md, Decisions): what rots under who reads it is not
 * seen to. Who asks after that is another matter.
 */
function rotsUnder({ rotten }: World, { startedAt, endedAt, wish }: Answer): boolean {
  const at = rotten.get(wish.reference);
  return at !== undefined && at >= startedAt && at <= endedAt;
}

/**
 * What a liar sent of a large blob, before its digest could be known: a range of it may be wrong and complete, but for the tail
 * (architecture.md, promise 1), and so may be the length that it is said to be a range of, from whose end the tail counts then. Of what is
 * held nobody is in doubt.
 */
function isAheadOfDigest({ liedAt }: World, { wish, status, outcome, headers }: Answer): boolean {
  const range = rangeOf(headers);
  return (
    status === 206 &&
    outcome !== 'hit' &&
    (liedAt > -Infinity || isStolen(wish.repository)) &&
    range !== undefined &&
    range.length > SMALL_BYTES &&
    range.last < range.length - TAIL_BYTES
  );
}

function judge(world: World, answer: Answer): Faults {
  const { wish, status, end, headers, bytes } = answer;
  if (status !== 200 && status !== 206) return undefined;
  const asked = parseDigest(wish.reference);
  const said = parseDigest(headers['docker-content-digest'] ?? '') ?? asked;
  if (asked !== undefined && said !== asked) return `${answerText(answer)} is said to be ${shortName(said)}`;
  const whole = said && BYTES.get(said);
  if (whole === undefined) return `${answerText(answer)} is nothing that anybody has`;
  const length = headers['content-length'];
  const wanted = status === 206 ? sliceOf(whole, rangeOf(headers)) : whole;
  const isAhead = isAheadOfDigest(world, answer);
  // A length that an upstream made up is cut before its end; a range says it before anybody can know.
  if (wanted === undefined) {
    const isFine =
      end !== 'whole' || isAhead || (world.liedAt > -Infinity && answer.outcome !== 'hit' && isPartOf(whole, answer));
    return isFine ? undefined : `${answerText(answer)} says ${headers['content-range']}`;
  }
  if (end === 'whole' && length !== undefined && Number(length) !== wanted.length)
    return `${answerText(answer)} has the length ${length}`;
  if (wish.method === 'HEAD') return undefined;
  if (rotsUnder(world, answer) || isAhead) return undefined;
  if (end === 'whole' && !wanted.equals(bytes)) return `${answerText(answer)} is complete and wrong`;
  const isVerified = length !== undefined && whole.length <= SMALL_BYTES;
  if (isVerified && !wanted.subarray(0, bytes.length).equals(bytes))
    return `${answerText(answer)} brought wrong bytes of what is small`;
  return undefined;
}

/** The bytes are right, whatever length they are said to be a range of. */
function isPartOf(whole: Buffer, { headers, bytes }: Answer): boolean {
  const range = rangeOf(headers);
  return range !== undefined && whole.subarray(range.from, range.last + 1).equals(bytes);
}

function sliceOf(whole: Buffer, range: ReturnType<typeof rangeOf>): Buffer | undefined {
  return range?.length === whole.length ? whole.subarray(range.from, range.last + 1) : undefined;
}

/** What `Content-Range` says: the first and the last byte, and of how many. */
function rangeOf(
  headers: Answer['headers'],
): { readonly from: number; readonly last: number; readonly length: number } | undefined {
  const [, from, last, length] = (/^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '') ?? []).map(Number);
  return from === undefined || last === undefined || length === undefined ? undefined : { from, last, length };
}
