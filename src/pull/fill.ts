import type { Digest } from '../oci/digest.ts';
import { parseRange } from '../oci/range.ts';
import type { Refusal } from './chain.ts';
import type { Source } from './cache-status.ts';
import type { Content } from './content.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { linkProven } from './prove.ts';
import type { Fill, FirstAnswer } from './fills.ts';
import { throughContent } from './through.ts';

/** A blob that was not here, as an answer still arriving. */
export type Filled = { readonly kind: 'content'; readonly content: Content; readonly source: Source } | Refusal;

/** Gets the blob: starts its fill, or joins the one that runs. */
export async function fillBlob(
  deps: PullDeps,
  pulling: Pulling,
  digest: Digest,
  expectedSize: number | undefined,
): Promise<Filled> {
  const { route, registry, repository, holder } = pulling;
  const order = { digest, registry, repository, chain: route.chain, expectedSize, holder, open: route.policy.open };
  for (;;) {
    const { fill, joined } = deps.fills.claim(order);
    const first = await fill.first;
    if (joined && fill.hasFailed()) {
      await fill.ended;
      continue;
    }
    if (first.kind === 'bypass') return fillThrough(deps, pulling, digest);
    if (first.kind === 'refused') {
      if (!joined) return refused(pulling, first.refusal);
      // Another repository's upstreams refused it to that one; ours have not been asked yet.
      await fill.ended;
      continue;
    }
    return joinFill(deps, pulling, digest, fill, first, joined);
  }
}

async function joinFill(
  deps: PullDeps,
  pulling: Pulling,
  digest: Digest,
  fill: Fill,
  first: Extract<FirstAnswer, { kind: 'content' }>,
  joined: boolean,
): Promise<Filled> {
  if (first.proven !== pulling.holder) {
    const proof = await deps.prover.prove({ kind: 'blob', ...pulling, digest });
    if (proof.kind !== 'proven') return proof;
    const size = fill.content().size ?? proof.size;
    if (size !== undefined)
      await linkProven(deps.records, pulling.holder, digest, { kind: 'blob', size }, proof.upstream, deps.clock.now());
  }
  if (!joined) pulling.trace.upstream = first.upstream;
  const content = fill.content();
  if (pulling.range !== undefined) {
    const size = content.size ?? (await fill.sized(pulling.signal));
    const ahead = size === undefined ? undefined : await aheadOf(fill, pulling.range, size, pulling.signal);
    if (ahead !== undefined) return { kind: 'content', content: ahead, source: { outcome: 'bypass', why: 'partial' } };
  }
  const source: Source = joined ? { outcome: 'collapsed' } : { outcome: 'miss', upstream: first.upstream, stored: true };
  return { kind: 'content', content, source };
}

function aheadOf(fill: Fill, range: string, size: number, signal: AbortSignal): Promise<Content | undefined> | undefined {
  const wanted = parseRange(range, size);
  return wanted.kind === 'one' ? fill.ahead(wanted.from, signal) : undefined;
}

/** Nothing can be kept: each client has an upstream transfer of its own (promise 5). */
export async function fillThrough(deps: Pick<PullDeps, 'clock' | 'prover'>, pulling: Pulling, digest: Digest): Promise<Filled> {
  const { route, registry, repository } = pulling;
  const proof = await deps.prover.prove({ kind: 'blob', ...pulling, digest });
  if (proof.kind !== 'proven') return proof;
  const content = throughContent({ clock: deps.clock, chain: route.chain, registry, repository, digest, size: proof.size });
  return { kind: 'content', content, source: { outcome: 'bypass', why: 'bypass' } };
}

function refused({ trace }: Pulling, refusal: Refusal): Refusal {
  trace.tried.push(...refusal.tried);
  return refusal;
}
