import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { tagOf, type Reference } from '../oci/reference.ts';
import { admittingOf, refuseDenied, type Admitting } from './admitting.ts';
import { createAdopt, type Adopt } from './adopt.ts';
import { blobAnswer, blobUncached, blobUnrecorded } from './blob.ts';
import { Collapse } from './collapse.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { answerReady, finishBlob, finishManifest, toError, upstreamOf } from './finish.ts';
import { fetchAndKeep, manifestByDigest, type ManifestAnswer, type ManifestRefusal, type Manifests } from './manifest.ts';
import type { Target } from './name.ts';
import type { Client } from './passthrough.ts';
import { Prefetch } from './prefetch.ts';
import { createRefill, type Refill } from './refill.ts';
import { blobHosted, manifestHosted, refuseRefresh } from './hosted.ts';
import { inTime } from './in-time.ts';
import { Meanings } from './meaning.ts';
import { blobOffline, manifestOffline } from './offline.ts';
import { createReadyReply } from './ready-reply.ts';
import type { Reply } from './reply.ts';
import { enter, startPulling } from './start.ts';
import { Tags } from './tag.ts';
import { newTrace, noteTried, type Trace } from './trace.ts';

export type { Client };

export type PullTarget = Extract<Target, { kind: 'manifest' | 'blob' }>;

type ManifestTarget = Extract<Target, { kind: 'manifest' }>;

export interface PullRequest {
  readonly method: 'GET' | 'HEAD';
  readonly target: PullTarget;
  readonly range?: string | undefined;
  readonly ifRange?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  /** Who asks, as far as an upstream may be told; `undefined`: nobody in particular. */
  readonly client?: Client | undefined;
  /** Nobody's: what a judge reads to find out what may be let in. */
  readonly unjudged?: true;
  /** The client has gone. */
  readonly signal: AbortSignal;
  readonly trace: Trace;
}

/** Name → route → lookup → fill → store → respond. Throws RegistryError for every refusal. */
export type Pull = (request: PullRequest) => Promise<Reply>;

/** What is answered out of memory, in the same turn; `undefined`: nothing, and `pull` is to be asked. Never throws. See ready.ts. */
export type PullReady = (request: PullRequest) => Reply | undefined;

export interface Pulls {
  readonly pull: Pull;
  readonly ready: PullReady;
  /** A manifest by the same steps, without the reply. */
  readonly manifest: (request: PullRequest) => Promise<ManifestAnswer | ManifestRefusal>;
  /** Asks upstream for a tag, whatever its age. */
  readonly refresh: (request: PullRequest) => Promise<ManifestAnswer>;
  /** Asks upstream what a tag points to, for its history alone. */
  readonly watch: (request: PullRequest) => Promise<void>;
  /** Fetches what a pushed manifest needs and its chain has. */
  readonly adopt: Adopt;
  /** Fetches again what is lost. */
  readonly refill: Refill;
  /** What is filled before anybody asks for it. */
  readonly prefetch: Pick<Prefetch, 'clear' | 'stop'>;
}

export function createPull(deps: PullDeps): Pulls {
  const fetches: Manifests = new Collapse(deps.clock, deps.unowned);
  const tags = new Tags(deps, fetches);
  const meanings = new Meanings(deps, tags);
  const byDigest = (pulling: Pulling, digest: Digest): Promise<ManifestAnswer | ManifestRefusal> =>
    manifestByDigest(deps, fetches, pulling, digest);
  const prefetch = new Prefetch(deps, byDigest);
  const readyReply = createReadyReply();
  const byChain = (pulling: Pulling, { reference }: ManifestTarget): Promise<ManifestAnswer | ManifestRefusal> =>
    pulling.route.policy.offline
      ? manifestOffline(deps, pulling, reference)
      : reference.kind === 'tag'
        ? tags.pull(pulling, reference.tag)
        : manifestByDigest(deps, fetches, pulling, reference.digest);
  const byReference = async (pulling: Pulling, target: ManifestTarget): Promise<ManifestAnswer | ManifestRefusal> =>
    (await manifestHosted(deps, pulling, target)) ?? byChain(pulling, target);
  const getManifest = async (pulling: Pulling, target: ManifestTarget): Promise<ManifestAnswer | ManifestRefusal> => {
    let meaning: ReturnType<Meanings['of']> | undefined;
    // Asked once, and the same past trouble: what a tag stands for has no way round it.
    const meant = async (
      get: (reference: Reference) => Promise<ManifestAnswer | ManifestRefusal>,
    ): Promise<ManifestAnswer | ManifestRefusal> => {
      const found = await (meaning ??= meanings.of(pulling, target.reference));
      if (found.kind === 'refused') return found;
      const answer = await get(found.reference);
      return answer.kind === 'manifest' && target.reference.kind === 'tag'
        ? meanings.answered(pulling, target.reference.tag, found, answer)
        : answer;
    };
    const answer = await inTime(
      deps,
      pulling,
      () => meant((reference) => byReference(pulling, { ...target, reference })),
      () => meant((reference) => fetchAndKeep(deps, fetches, pulling, reference, false)),
    );
    if (answer.kind === 'manifest') noteTried(pulling.trace, answer.tried ?? [], upstreamOf(answer.source));
    return answer;
  };
  const admit = (
    admitting: Admitting | undefined,
    pulling: Pulling,
    target: ManifestTarget,
    { bytes, ...answer }: ManifestAnswer,
  ): Promise<void> | undefined => {
    const { digest } = answer;
    // A HEAD brings no bytes, and a judge wants to see them.
    const read = async (): Promise<Uint8Array> => {
      const whole = { ...pulling, method: 'GET', trace: newTrace(pulling.trace.requestId) } as const;
      const found = await getManifest(whole, { ...target, reference: { kind: 'digest', digest } });
      if (found.kind === 'refused') throw toError(found, whole, target);
      if (found.bytes === undefined) throw new Error('a GET of a manifest brought no bytes');
      return found.bytes;
    };
    const tag = tagOf(target.reference);
    return admitting?.manifest({ ...answer, bytes }, tag, bytes === undefined ? read : () => Promise.resolve(bytes));
  };

  return {
    prefetch,
    ready(request) {
      try {
        return answerReady(deps, readyReply, request, startPulling(deps, request));
      } catch (error) {
        // What has no route any more, or is denied, is refused by the ordinary way, in its words.
        if (error instanceof RegistryError) return undefined;
        throw error;
      }
    },
    adopt: createAdopt(deps, byDigest),
    refill: createRefill(deps, byDigest),
    async pull(request) {
      const { target } = request;
      const started = startPulling(deps, request);
      const ready = answerReady(deps, readyReply, request, started);
      if (ready !== undefined) return ready;
      const pulling = await enter(deps, request, started);
      const admitting = request.unjudged === true ? undefined : admittingOf(deps, pulling, target);
      prefetch.giveWay(target.kind === 'blob' ? target.digest : undefined);
      if (target.kind === 'manifest') {
        const answer = await getManifest(pulling, target);
        if (answer.kind === 'manifest') await admit(admitting, pulling, target, answer);
        const reply = finishManifest(deps, request, pulling, answer);
        const isClients = request.unjudged !== true && target.name.nonce === undefined;
        if (isClients && answer.kind === 'manifest' && reply.status === 200) prefetch.served(pulling, answer);
        return reply;
      }
      await admitting?.blob(target.digest);
      const answer = await inTime(
        deps,
        pulling,
        async () =>
          (await blobHosted(deps, pulling, target)) ??
          (pulling.route.policy.offline ? blobOffline : blobAnswer)(deps, pulling, target.digest),
        (trouble) =>
          trouble === 'metadata' ? blobUnrecorded(deps, pulling, target.digest) : blobUncached(deps, pulling, target.digest),
      );
      return finishBlob(deps, request, pulling, answer);
    },
    async manifest(request) {
      if (request.target.kind !== 'manifest') throw new RegistryError('MANIFEST_UNKNOWN', 'only a manifest is asked for here');
      const pulling = await enter(deps, request, startPulling(deps, request));
      const answer = await getManifest(pulling, request.target);
      if (answer.kind === 'manifest') refuseDenied(pulling, answer.digest);
      return answer;
    },
    async watch(request) {
      const { target } = request;
      if (target.kind !== 'manifest' || target.reference.kind !== 'tag') return;
      await meanings.watch(startPulling(deps, request), target.reference.tag);
    },
    async refresh(request) {
      const { target } = request;
      if (target.kind !== 'manifest' || target.reference.kind !== 'tag') {
        throw new RegistryError('TAG_INVALID', 'only a tag can be refreshed');
      }
      const pulling = startPulling(deps, request);
      await refuseRefresh(deps, pulling);
      if (pulling.route.policy.offline) {
        const message = `the route ${pulling.route.name} is offline: no upstream is asked`;
        throw new RegistryError('UNAVAILABLE', message, { status: 503, detail: { offline: true } });
      }
      const answer = await tags.refresh(pulling, target.reference.tag);
      if (answer.kind === 'refused') throw toError(answer, pulling, target);
      return answer;
    },
  };
}
