import { imageByDigest, closureOf, shortName } from '../content.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import { CHAIN_DEADLINE_MS } from '../../../src/pull/chain.ts';
import type { World } from '../world.ts';
import type { Check, Pushed } from './check.ts';

/** With disk and metadata well nothing is refused as trouble; a manifest finds what its client was told is here. */
export const pushesSucceed: Check = {
  of: 'R28, promise 6',
  onPush(world, pushed) {
    const { asked, answer, startedAt } = pushed;
    const what = `${asked.method} ${asked.path.replaceAll(/sha256:[0-9a-f]{64}/g, shortName)}`;
    const why = answer.why instanceof Error ? answer.why.message : String(answer.why);
    if (world.wasCalm(startedAt) && answer.status >= 500 && !isChainsTrouble(world, pushed) && !isOverslept(world, why))
      return `${what}: ${answer.status}, ${why}${answer.why instanceof Error ? ` because of ${String(answer.why.cause)}` : ''}`;
    if (answer.code === 'MANIFEST_BLOB_UNKNOWN' && needsAreHere(world, pushed))
      return `${what}: ${why}, though all of it is here`;
    return undefined;
  },
};

/**
 * Whether an upstream has the name must be known before anything is taken. A question that somebody asked while it was silent is
 * joined, and answered with trouble only when its time has run out.
 */
function isChainsTrouble({ network }: World, { asked: { path }, startedAt }: Pushed): boolean {
  return path.startsWith('/v2/mixed.io/') && !network.wasUpSince('hub-c', startedAt - CHAIN_DEADLINE_MS);
}

/** The clock jumped over what keeps a push from being collected: it may be told to come again. */
function isOverslept({ jumpedAt }: World, why: string): boolean {
  return jumpedAt > -Infinity && why.includes('is being deleted just now');
}

function needsAreHere(world: World, { asked }: Pushed): boolean {
  const match = /^\/v2\/(.+)\/manifests\/([^?]+)/.exec(asked.path);
  const digest = parseDigest(match?.[2] ?? '');
  const image = digest && imageByDigest(digest);
  if (match === null || image === undefined) return false;
  const needs = closureOf(image).slice(1);
  return needs.every(
    (need) => world.surely(match[1]!, imageByDigest(need) === undefined ? 'blob' : 'manifest', need) !== undefined,
  );
}
