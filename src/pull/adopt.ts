import type { Descriptor } from '../oci/descriptor.ts';
import { RegistryError } from '../oci/errors.ts';
import { isManifestType } from '../oci/media-types.ts';
import { blobAnswer } from './blob.ts';
import { missStatus } from './cache-status.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { fillOrder } from './fill.ts';
import { lookupBlob } from './lookup.ts';
import type { Name } from './name.ts';
import type { ManifestByDigest } from './prefetch.ts';
import type { Refusal } from './refusal.ts';
import { refusalError } from './refusal-error.ts';
import { newTrace } from './trace.ts';

type Need = Pick<Descriptor, 'digest' | 'size' | 'mediaType'>;

/**
 * Fetches what a manifest that is pushed needs and the rest of the chain has under the same name, so that it is held and linked
 * here when the repository becomes ours (architecture.md, decision 11): a client that pushes was told by HEAD that it need not
 * bring it. What nobody has is left out. Throws RegistryError where that could not be found out.
 */
export type Adopt = (name: Pick<Name, 'registry' | 'repository'>, needs: readonly Need[], signal: AbortSignal) => Promise<void>;

export function createAdopt(deps: PullDeps, byDigest: ManifestByDigest): Adopt {
  return async ({ registry, repository }, needs, signal) => {
    const route = deps.router({ registry, repository });
    const holder = `${registry}/${repository}`;
    if (route === undefined || route.alone || route.policy.offline) return;
    // Nobody upstream hears of what is ours already.
    if ((await deps.records.owner(holder)) !== undefined) return;
    const common = {
      route,
      registry,
      repository,
      holder,
      asof: undefined,
      range: undefined,
      ifRange: undefined,
      ifNoneMatch: undefined,
    };
    const pulling: Pulling = { ...common, method: 'GET', signal, trace: newTrace('') };
    for (const need of needs) {
      if (isManifestType(need.mediaType)) {
        const answer = await byDigest(pulling, need.digest);
        if (answer.kind === 'refused') mustBeAbsent(answer.refusal, pulling, need);
      } else await adoptBlob(deps, pulling, need);
    }
  };
}

/** A fill that somebody else began brings the bytes, but not the link: then an upstream has to say that they are ours too. */
const ROUNDS_MAX = 3;

async function adoptBlob(deps: PullDeps, pulling: Pulling, need: Need): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const { kind } = await lookupBlob(deps, pulling, need.digest);
    if (kind === 'held') return;
    if (kind === 'unlinked') {
      const proven = await blobAnswer(deps, { ...pulling, method: 'HEAD' }, need.digest);
      if (proven.kind === 'refused') return mustBeAbsent(proven.refusal, pulling, need);
      if (proven.source.outcome === 'hit') return;
    }
    const claim = await deps.fills.claim(fillOrder(pulling, need.digest, need.size), pulling.signal);
    if (claim === undefined)
      throw new RegistryError('UNAVAILABLE', `${need.digest} is being fetched for others`, { status: 503 });
    const { fill, leave } = claim;
    const first = await fill.first;
    const isOurs = fill.holder === pulling.holder;
    if (first.kind === 'refused' && isOurs) {
      leave();
      return mustBeAbsent(first.refusal, pulling, need);
    }
    await fill.ended;
    leave();
  }
}

/** Trouble is no absence: the client is told to try again, and not that the manifest is wrong. */
function mustBeAbsent(refusal: Refusal, { registry, repository }: Pulling, { digest, mediaType }: Need): void {
  if (refusal.kind === 'absent' || refusal.kind === 'denied') return;
  const kind = isManifestType(mediaType) ? 'manifest' : 'blob';
  const asked = refusal.tried.at(-1)?.upstream;
  throw refusalError(refusal, { kind, registry, repository, reference: digest }, missStatus(asked));
}
