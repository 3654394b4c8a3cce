import type { Clock } from '../system/clock.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { askEach } from './ask.ts';

/** One upstream to be proved, and what is asked of it. */
export interface ProvedUpstream {
  readonly upstream: Upstream;
  /** Under which `origin` is dialled; others answer for any. */
  readonly registry: string;
  /** The way out: `direct`, or the proxy's host. */
  readonly via: string;
}

export interface Proof {
  readonly name: string;
  readonly url: string;
  readonly via: string;
  /** It answered, and did not refuse our credentials. */
  readonly ok: boolean;
  /** What it said, or what went wrong, in a sentence. */
  readonly message: string;
  /** `undefined`: it has no credentials, or was not asked for them. */
  readonly signedIn: boolean | undefined;
  readonly rateLimit: { readonly limit: number; readonly remaining: number } | undefined;
  readonly ms: number;
}

/** An image of Docker Hub that will always be there, asked for by HEAD, which is free; elsewhere "not here" is an answer too. */
const HUB_IMAGE = { repository: 'library/alpine', reference: 'latest' };
const NO_IMAGE = { repository: 'entrepot/check', reference: 'latest' };

export async function proveUpstream(clock: Clock, proved: ProvedUpstream, signal: AbortSignal): Promise<Proof> {
  const { upstream, registry, via } = proved;
  const image = registry === 'docker.io' ? HUB_IMAGE : NO_IMAGE;
  const [answer] = await askEach(clock, [upstream], { registry, ...image }, signal);
  const { url, credentialsValid, rateLimit } = upstream.status();
  const failed = answer === undefined || answer.answer === 'failed';
  return {
    name: upstream.name,
    url,
    via,
    ok: !failed && credentialsValid !== false,
    message: failed
      ? (answer?.message ?? 'not asked')
      : credentialsValid === false
        ? 'our credentials were refused'
        : SAID[answer.answer],
    signedIn: credentialsValid,
    rateLimit,
    ms: answer?.ms ?? 0,
  };
}

const SAID: Readonly<Record<'found' | 'absent' | 'denied' | 'limited' | 'failed', string>> = {
  found: 'answers',
  absent: 'answers',
  denied: 'answers',
  limited: 'answers that its rate limit is spent',
  failed: 'does not answer',
};
