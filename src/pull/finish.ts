import type { Digest } from '../oci/digest.ts';
import type { RegistryError } from '../oci/errors.ts';
import { referenceText, tagOf } from '../oci/reference.ts';
import type { BlobAnswer } from './blob.ts';
import { missStatus, type Source } from './cache-status.ts';
import type { PullDeps, Pulling } from './deps.ts';
import type { ManifestAnswer, ManifestRefusal } from './manifest.ts';
import type { PullRequest, PullTarget } from './pull.ts';
import type { ReadyReply } from './ready-reply.ts';
import { refusalError, refusedOutcome } from './refusal-error.ts';
import type { Reply } from './reply.ts';
import { respondBlob, respondManifest } from './respond.ts';
import { noteTried } from './trace.ts';

/** Throws RegistryError for what was refused. */
export function finishManifest(
  deps: PullDeps,
  request: PullRequest,
  pulling: Pulling,
  answer: ManifestAnswer | ManifestRefusal,
): Reply {
  if (answer.kind === 'refused') throw toError(answer, pulling, request.target);
  const { target } = request;
  const tag = target.kind === 'manifest' ? tagOf(target.reference) : undefined;
  note(deps, pulling, answer.digest, answer.size, answer.source, tag);
  return withNamespace(respondManifest(answer, answer.source, pulling), request);
}

/** A question about content is somebody's who has to see what is there, and no use. */
export function answerReady(deps: PullDeps, reply: ReadyReply, request: PullRequest, pulling: Pulling): Reply | undefined {
  const { target, method } = request;
  if (request.unjudged === true || target.name.nonce !== undefined) return undefined;
  const ready = deps.ready.look(pulling, target);
  if (ready === undefined) return undefined;
  const tag = target.kind === 'manifest' ? tagOf(target.reference) : undefined;
  note(deps, pulling, ready.digest, ready.bytes.byteLength, ready.source, tag);
  return reply(ready, method, target.name.ns);
}

/** As {@link finishManifest}; what nobody opens is left. */
export function finishBlob(deps: PullDeps, request: PullRequest, pulling: Pulling, answer: BlobAnswer): Reply {
  if (answer.kind === 'refused') throw toError(answer, pulling, request.target);
  note(deps, pulling, answer.content.digest, answer.content.size, answer.source, undefined);
  const { digest, size } = answer.content;
  if (answer.source.outcome === 'hit' && size !== undefined && pulling.method === 'GET') deps.smallBlobs.learn(digest, size);
  let opens = false;
  try {
    const reply = respondBlob(answer.content, answer.source, pulling);
    opens = reply.body.kind !== 'none';
    return withNamespace(reply, request);
  } finally {
    if (!opens) answer.leave?.();
  }
}

export function upstreamOf(source: Source): string | undefined {
  return 'upstream' in source ? source.upstream : undefined;
}

/** What log and metrics will say, and the batched last use. */
function note(
  deps: PullDeps,
  { trace, holder, method }: Pulling,
  digest: Digest,
  size: number | undefined,
  source: Source,
  tag: string | undefined,
): void {
  trace.outcome = source.outcome;
  trace.digest = digest;
  trace.size = size;
  trace.upstream ??= upstreamOf(source);
  if (source.outcome !== 'bypass')
    deps.records.used(holder, { digest, bytes: method === 'GET', ...(tag === undefined ? {} : { tag }) });
}

export function toError(
  { refusal, cacheStatus }: ManifestRefusal,
  { trace, registry, repository }: Pulling,
  target: PullTarget,
): RegistryError {
  // A remembered absence asked nobody now.
  if (cacheStatus === undefined) noteTried(trace, refusal.tried);
  trace.outcome = refusedOutcome(refusal);
  const reference = target.kind === 'blob' ? target.digest : referenceText(target.reference);
  return refusalError(
    refusal,
    { kind: target.kind, registry, repository, reference },
    cacheStatus ?? missStatus(refusal.tried.at(-1)?.upstream),
  );
}

/** OCI distribution-spec, "Registry Proxying": the parameter that decided is said back. */
function withNamespace(reply: Reply, { target }: PullRequest): Reply {
  const { ns } = target.name;
  return ns === undefined ? reply : { ...reply, headers: { ...reply.headers, 'oci-namespace': ns } };
}
