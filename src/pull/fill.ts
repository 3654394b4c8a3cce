import type { Digest } from '../oci/digest.ts';
import { parseRange } from '../oci/range.ts';
import type { Source } from './cache-status.ts';
import { etagOf, type Content } from './content.ts';
import type { PullDeps, Pulling } from './deps.ts';
import type { Claim } from './fills.ts';
import type { FillOrder, FirstAnswer } from './fill/types.ts';
import { linkProven, type Proof } from './prove.ts';
import { deciderOf } from './granting.ts';
import { loopRefusal, type Refusal } from './refusal.ts';
import type { Seat } from './fill/readers.ts';
import type { Fill } from './fill/running-fill.ts';
import { throughContent } from './through.ts';
import type { ThroughSource } from './through-reader.ts';
import { noteTried } from './trace.ts';
import { isLooped, PATIENCE_MS } from './via.ts';
import { within } from './within.ts';

/** A blob that was not here, as an answer still arriving. */
export type Filled =
  | {
      readonly kind: 'content';
      readonly content: Content;
      readonly source: Source;
      /** To be called where the content is not going to be opened: its fill then has a reader less to wait for. */
      readonly leave?: () => void;
    }
  | Refusal;

/** A size that nobody knows yet is waited for so long. */
const SIZE_WAIT_MS = 20_000;

/** Gets the blob: starts its fill, or joins the one that runs. `expectedSize` as a verified manifest described it. */
export async function fillBlob(
  deps: PullDeps,
  pulling: Pulling,
  digest: Digest,
  expectedSize: number | undefined,
): Promise<Filled> {
  const { holder } = pulling;
  const order = fillOrder(pulling, digest, expectedSize);
  for (let failures = 0; ;) {
    const claim = deps.fills.inTrouble(order) ? undefined : await deps.fills.claim(order, pulling.signal);
    if (claim === undefined) return fillThrough(deps, pulling, digest, expectedSize);
    const { fill, joined, leave } = claim;
    const first = await firstOf(deps, pulling, claim);
    if (first.kind === 'content') {
      await fill.sized(false, pulling.signal, SIZE_WAIT_MS);
      if (await endedUnsized(fill, pulling)) {
        leave();
        return fillThrough(deps, pulling, digest, expectedSize);
      }
      if (!joined || failures > 0 || fill.canBeJoined()) return joinFill(deps, pulling, claim, first, expectedSize);
      // It was found wrong while this client came: once, that is no reason to fail here too.
      failures += 1;
    }
    leave();
    if (first.kind === 'waited-for') return first.refusal;
    if (first.kind === 'bypass') return fillThrough(deps, pulling, digest, expectedSize);
    const isSaidToAll = pulling.route.asker === undefined && fill.holder === holder;
    const isOurs = !joined || (isSaidToAll && first.kind === 'refused' && !isLooped(first.refusal));
    if (first.kind === 'refused' && isOurs) return first.refusal;
    // It was refused to another repository, another client, or who came through others: ours have not been asked yet.
    await fill.ended;
  }
}

/** What a fill needs to know to get the blob for this repository. */
export function fillOrder(
  { route, registry, repository, holder }: Pulling,
  digest: Digest,
  expectedSize: number | undefined,
): FillOrder {
  return {
    digest,
    registry,
    repository,
    chain: () => route.order(registry, 'content'),
    hedge: route.policy.hedge,
    parallel: route.policy.parallel,
    expectedSize,
    holder,
    decider: deciderOf(route),
    asker: route.asker,
  };
}

/** The fill waits for who wants to join it. */
interface WaitedFor {
  readonly kind: 'waited-for';
  readonly refusal: Refusal;
}

/**
 * What the fill begins with. Who comes through other mirrors may be the one whom it waits for: in time a question that tells
 * through whom it comes finds out, and he is told to look elsewhere.
 */
async function firstOf(deps: PullDeps, pulling: Pulling, { fill, joined }: Claim): Promise<FirstAnswer | WaitedFor> {
  if (!joined || pulling.route.via === undefined) return fill.first;
  const first = await within(deps.clock, fill.first, PATIENCE_MS);
  if (first !== undefined) return first;
  const proof = await deps.prover.prove({ kind: 'blob', ...pulling, digest: fill.digest });
  const isWaitedFor = proof.kind === 'proven' ? proof.passedLoop : isLooped(proof);
  if (!isWaitedFor) return fill.first;
  return { kind: 'waited-for', refusal: loopRefusal(proof.tried) };
}

async function joinFill(
  deps: PullDeps,
  pulling: Pulling,
  claim: Claim,
  first: Extract<FirstAnswer, { kind: 'content' }>,
  expectedSize: number | undefined,
): Promise<Filled> {
  const { fill, joined, leave } = claim;
  let seat: Seat;
  try {
    // One that began while others decided who may read may carry what these here may not have.
    const isAsGood = fill.decider === 'nobody' || fill.decider === deciderOf(pulling.route);
    let proof: Proof | undefined;
    if (first.proven === pulling.holder && isAsGood) {
      noteTried(pulling.trace, first.tried, joined ? undefined : first.upstream);
    } else {
      const brings = fill.broughtBy;
      const whom = new Set(brings === undefined ? [] : [brings]);
      const said = await deps.prover.prove({ kind: 'blob', ...pulling, digest: fill.digest }, whom);
      if (said.kind !== 'proven') {
        leave();
        return said;
      }
      proof = said;
    }
    const follower = { holder: pulling.holder, upstream: proof?.upstream };
    if (!fill.permits(follower)) {
      leave();
      return passThrough(deps, pulling, fill.digest, expectedSize ?? proof?.size);
    }
    if (proof !== undefined && fill.isFirst(follower)) linkWhenHeld(deps, pulling, fill, proof);
    seat = { follower, beside: () => throughSource(deps, pulling, fill.digest, fill.size) };
    const ahead = pulling.range === undefined ? undefined : aheadOf(fill, seat, pulling.range);
    if (ahead !== undefined) {
      const content = reading(ahead, leave);
      return { kind: 'content', content, source: { outcome: 'bypass', why: 'partial' }, leave };
    }
  } catch (error) {
    leave();
    throw error;
  }
  const led = !joined && first.proven !== undefined;
  const source: Source = led ? { outcome: 'miss', upstream: first.upstream, stored: true } : { outcome: 'collapsed' };
  return { kind: 'content', content: reading(contentOf(fill, seat), leave), source, leave };
}

/**
 * Only what turned out right is linked, with the size that it turned out to have, and only where who said yes brought it, or anybody
 * could have it. What is waited with is no more than that: the client may have gone long before.
 */
function linkWhenHeld(deps: PullDeps, { holder, route }: Pulling, fill: Fill, proof: Proof): void {
  const link = async (): Promise<void> => {
    const size = await fill.ended;
    if (size === undefined || !fill.permits({ holder, upstream: proof.upstream })) return;
    const claimed = proof.upstream !== fill.broughtBy;
    await linkProven(deps, { holder, route }, fill.digest, { kind: 'blob', size, claimed }, proof);
  };
  deps.unowned.track(link()).catch((error: unknown) => deps.report({ kind: 'bypass', reason: 'metadata', error }));
}

/**
 * A range is wanted of what ended before anybody knew its size, as when the disk failed it: whoever brings the whole then
 * brings this too.
 */
async function endedUnsized(fill: Fill, { range, signal }: Pulling): Promise<boolean> {
  if (range === undefined) return false;
  await fill.sized(true, signal, SIZE_WAIT_MS);
  return fill.size === undefined && !fill.canBeJoined();
}

/** Where nobody has said the size in time, the whole is sent: whoever asks for a range takes that too (RFC 9110 14.2). */
function aheadOf(fill: Fill, seat: Seat, range: string): Content | undefined {
  const { size } = fill;
  if (size === undefined) return undefined;
  const wanted = parseRange(range, size);
  return wanted.kind === 'one' ? fill.ahead(wanted.from, seat) : undefined;
}

/** Bytes that are still arriving. */
function contentOf(fill: Fill, seat: Seat): Content {
  return {
    digest: fill.digest,
    get size() {
      return fill.size;
    },
    etag: etagOf(fill.digest),
    open: (from, to, signal) => fill.open(from, to, signal, seat),
  };
}

/** The client stops waiting as soon as it reads. */
function reading(content: Content, leave: () => void): Content {
  return {
    digest: content.digest,
    get size() {
      return content.size;
    },
    etag: content.etag,
    open(from, to, signal) {
      const opening = content.open(from, to, signal);
      leave();
      return opening;
    },
  };
}

/** Nothing can be kept: each client has an upstream transfer of its own (promise 5). */
export async function fillThrough(
  deps: Pick<PullDeps, 'clock' | 'prover' | 'report' | 'blame'>,
  pulling: Pulling,
  digest: Digest,
  expectedSize: number | undefined,
): Promise<Filled> {
  const proof = await deps.prover.prove({ kind: 'blob', ...pulling, digest });
  if (proof.kind !== 'proven') return proof;
  return passThrough(deps, pulling, digest, expectedSize ?? proof.size);
}

/** As {@link fillThrough}, where an upstream has said yes already. */
function passThrough(
  deps: Pick<PullDeps, 'clock' | 'report' | 'blame'>,
  pulling: Pulling,
  digest: Digest,
  size: number | undefined,
): Filled {
  const content = throughContent(throughSource(deps, pulling, digest, size));
  return { kind: 'content', content, source: { outcome: 'bypass', why: 'bypass' } };
}

export function throughSource(
  { clock, report, blame }: Pick<PullDeps, 'clock' | 'report' | 'blame'>,
  { route, registry, repository }: Pulling,
  digest: Digest,
  size: number | undefined,
): ThroughSource {
  return { clock, report, blame, chain: route.order(registry, 'content'), registry, repository, digest, size };
}
