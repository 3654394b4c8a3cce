import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { noSuchName } from '../oci/no-such-name.ts';
import type { Clock } from '../system/clock.ts';
import type { NotLetIn } from './admission.ts';
import { NOT_LET_IN_STATUS } from './cache-status.ts';
import type { Pulling } from './deps.ts';
import type { ManifestAnswer } from './manifest.ts';
import type { Target } from './name.ts';

/** A client waits for so long, and gives up at 30 s; the least that a question gets where finding its content took most of that. */
const WAIT_MS = 20_000;
const WAIT_MS_MIN = 1_000;

/** A request's way through the rules of its route about content. Each throws RegistryError: 403 for what is not let in, 503 where that cannot be told. */
export interface Admitting {
  /** `read`: the same manifest with its bytes, where the answer has none. */
  manifest(answer: ManifestAnswer, tag: string | undefined, read: () => Promise<Uint8Array>): Promise<void>;
  blob(digest: Digest): Promise<void>;
}

/**
 * `undefined` where nobody has to be asked: the route has no such rules, or who asks is asked about just that (a nonce, which opens
 * only what its question is about). Throws RegistryError 404 for a nonce that opens nothing.
 */
export function admittingOf(
  { clock }: { readonly clock: Clock },
  pulling: Pulling,
  target: Extract<Target, { kind: 'manifest' | 'blob' }>,
): Admitting | undefined {
  const { registry, repository, route, trace, method, signal } = pulling;
  const { admission } = route.policy;
  if (target.name.nonce !== undefined) return open(pulling, target, target.name.nonce);
  if (admission === undefined) return undefined;
  const started = clock.monotonic();
  const ask = async (digest: Digest, question: () => Promise<NotLetIn | undefined>): Promise<void> => {
    trace.digest = digest;
    try {
      const refused = await question();
      if (refused !== undefined) throw notLetIn(pulling, digest, refused);
    } catch (error) {
      trace.outcome ??= 'error';
      throw error;
    }
  };
  const denied = (digest: Digest) => Promise.resolve(admission.denied(digest));
  // Clients that push ask by HEAD what they need not bring, and take 403 for the end of their push.
  const isOffered = method === 'HEAD' && route.hosted && route.push;
  return {
    manifest: ({ digest, mediaType, hosted }, tag, read) =>
      ask(digest, () => {
        if (isOffered && hosted === true) return denied(digest);
        const waitMs = Math.max(WAIT_MS_MIN, WAIT_MS - (clock.monotonic() - started));
        return admission.manifest({ registry, repository, tag, digest, mediaType, read, waitMs }, signal);
      }),
    blob: (digest) => ask(digest, () => (isOffered ? denied(digest) : admission.blob({ registry, repository, digest }))),
  };
}

/** What is never served is not shown within a list either. Throws RegistryError 403. */
export function refuseDenied(pulling: Pulling, digest: Digest): void {
  const refused = pulling.route.policy.admission?.denied(digest);
  if (refused !== undefined) throw notLetIn(pulling, digest, refused);
}

/** In the words of a name that is not there, which a closed question is. */
function open(
  { registry, repository, route }: Pulling,
  target: Extract<Target, { kind: 'manifest' | 'blob' }>,
  nonce: string,
): undefined {
  const digest =
    target.kind === 'blob' ? target.digest : target.reference.kind === 'digest' ? target.reference.digest : undefined;
  if (digest === undefined || route.policy.admission?.opens(nonce, { registry, repository, digest }) !== true)
    throw noSuchName(target.name.shown);
}

function notLetIn({ registry, repository, trace }: Pulling, digest: Digest, { judge, reason }: NotLetIn): RegistryError {
  trace.outcome = 'denied';
  trace.notLetIn = { judge, reason };
  return new RegistryError('DENIED', `${registry}/${repository}@${digest}: refused by ${judge}: ${reason}`, {
    detail: { judge, reason },
    headers: { 'cache-status': NOT_LET_IN_STATUS },
  });
}
