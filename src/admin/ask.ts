import type { Clock } from '../system/clock.ts';
import { UpstreamError, type Upstream, type UpstreamAnswer } from '../upstream/upstream.ts';

/** What one upstream said when it was asked for a person. */
export interface AnswerView {
  readonly upstream: string;
  /** `found`, `absent`, `denied`, `limited`, or `failed`: it said nothing usable. */
  readonly answer: UpstreamAnswer['kind'] | 'failed';
  readonly digest: string | undefined;
  /** Why not, in a sentence. */
  readonly message: string | undefined;
  readonly ms: number;
}

/** A person waits: an upstream that says nothing for so long has said enough. */
const ASK_MS = 10_000;

/** Asks every upstream for the manifest by HEAD, all at once; nobody's failure hides another's answer. */
export function askEach(
  clock: Clock,
  chain: readonly Upstream[],
  name: { readonly registry: string; readonly repository: string; readonly reference: string },
  signal: AbortSignal,
): Promise<AnswerView[]> {
  return Promise.all(chain.map((upstream) => askOne(clock, upstream, name, signal)));
}

async function askOne(
  clock: Clock,
  upstream: Upstream,
  name: { readonly registry: string; readonly repository: string; readonly reference: string },
  signal: AbortSignal,
): Promise<AnswerView> {
  const started = clock.monotonic();
  const limit = new AbortController();
  const timer = clock.after(ASK_MS, () => limit.abort());
  const either = AbortSignal.any([signal, limit.signal]);
  const view = (answer: AnswerView['answer'], digest?: string, message?: string): AnswerView => {
    return { upstream: upstream.name, answer, digest, message, ms: Math.round(clock.monotonic() - started) };
  };
  try {
    const said = await upstream.ask({ kind: 'manifest', method: 'HEAD', ...name }, either);
    if (said.kind === 'found') {
      said.body?.close();
      return view('found', said.digest);
    }
    if (said.kind === 'limited') return view('limited', undefined, retrySentence(said.retryAfterSeconds));
    return view(said.kind, undefined, said.kind === 'absent' ? said.hint : undefined);
  } catch (error) {
    if (limit.signal.aborted) return view('failed', undefined, `no answer within ${ASK_MS / 1000} s`);
    // What is no UpstreamError is no answer either, and a person who asks wants to read it.
    return view('failed', undefined, error instanceof UpstreamError ? `${error.reason}: ${error.message}` : String(error));
  } finally {
    timer.cancel();
  }
}

function retrySentence(seconds: number | undefined): string {
  return seconds === undefined ? 'its rate limit is spent' : `its rate limit is spent for ${seconds} s`;
}
