import { RegistryError } from '../oci/errors.ts';
import { UpstreamError } from '../upstream/upstream.ts';
import { CHAIN_DEADLINE_MS } from './chain.ts';
import type { PullDeps, Pulling } from './deps.ts';
import type { BypassReason } from './events.ts';
import { troubleOf } from './trouble.ts';
import { within } from './within.ts';

/** Whatever several questions in a row may take: clients give up at 30 s. What was asked goes on for those who come later. */
const ANSWER_MS = CHAIN_DEADLINE_MS + 500;

/** What is done instead, when that part cannot be asked. */
type Uncached<T> = (trouble: BypassReason) => Promise<T>;

export async function inTime<T>(
  deps: PullDeps,
  { trace }: Pulling,
  cached: () => Promise<T>,
  uncached: Uncached<T>,
): Promise<T> {
  try {
    const answer = await within(deps.clock, deps.unowned.track(pastTrouble(deps, cached, uncached)), ANSWER_MS);
    if (answer !== undefined) return answer;
    throw new RegistryError('UNAVAILABLE', 'no upstream has answered in time', { status: 504 });
  } catch (error) {
    trace.outcome ??= 'error';
    throw error;
  }
}

/** The cache never makes a pull fail (promise 5): what cannot be looked up is asked for, and the disk after the metadata. */
async function pastTrouble<T>(deps: PullDeps, cached: () => Promise<T>, uncached: Uncached<T>): Promise<T> {
  const past = async (answer: () => Promise<T>, otherwise: Uncached<T>): Promise<T> => {
    try {
      return await answer();
    } catch (error) {
      if (error instanceof RegistryError || error instanceof UpstreamError) throw error;
      const trouble = troubleOf(error);
      deps.report({ kind: 'bypass', reason: trouble, error });
      return otherwise(trouble);
    }
  };
  return past(cached, (trouble) =>
    trouble === 'metadata'
      ? past(
          () => uncached(trouble),
          () => uncached('storage'),
        )
      : uncached(trouble),
  );
}
