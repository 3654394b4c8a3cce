import type { Ask } from './ask.ts';
import type { Breaker } from './breaker.ts';
import { CredentialsRefused } from './refusals.ts';
import { UpstreamError, type UpstreamErrorReason } from './upstream.ts';

/** Only trouble in getting an answer counts: a body that breaks later is resumed, and says nothing of the next request. */
export function withBreaker(ask: Ask, breaker: Pick<Breaker, 'enter'>): Ask {
  return async (request, signal) => {
    const attempt = breaker.enter();
    try {
      const answer = await ask(request, signal);
      attempt.succeeded();
      return answer;
    } catch (error) {
      // What is known of a secret, our own queue, or the caller's leaving says nothing of the upstream: nobody asked it.
      if (error instanceof CredentialsRefused) attempt.abandoned();
      else if (!(error instanceof UpstreamError) || error.reason === 'ratelimit') attempt.abandoned();
      else if (isTrouble(error)) attempt.failed(error);
      else attempt.succeeded();
      throw error;
    }
  };
}

/** A wrong answer shows that the upstream is there; so does a challenge that cannot be met. */
const HARMLESS: ReadonlySet<UpstreamErrorReason> = new Set(['auth', 'verify']);

/** 508: it is well, and asks us in turn (RFC 5842 7.2). */
function isTrouble({ reason, status = 0 }: UpstreamError): boolean {
  return reason === 'status' ? status >= 500 && status !== 508 : !HARMLESS.has(reason);
}
