import { isIndexType } from '../oci/media-types.ts';
import type { Clock } from '../system/clock.ts';
import { namesOf } from './decide.ts';
import { JudgeError, type Entering, type Judge } from './judge.ts';
import { Places } from './places.ts';
import { questionText } from './question-text.ts';
import type { Questions } from './questions.ts';
import { readAnswer } from './scanner-answer.ts';

/** Sends a question; resolves with the answer, whatever its status. Rejects where there is none, or it is too long. */
export type Send = (body: Uint8Array, signal: AbortSignal) => Promise<{ readonly status: number; readonly body: Uint8Array }>;

export interface AdmitOptions {
  /** Another one where somebody else is asked; no secret. */
  readonly fingerprint: string;
  readonly onError: Judge['onError'];
  readonly timeoutMs: number;
  readonly send: Send;
  readonly clock: Clock;
  readonly questions: Questions;
  /** Of whoever is asked, whatever route asks. */
  readonly places: Places;
  /** Where whoever is asked reaches this server: `http://mirror.example.test:5000`, with `http.prefix` behind it. */
  readonly address: () => string;
}

/** Questions at once, and those that wait for their turn: a scan takes a machine for minutes. */
const AT_ONCE = 8;
const WAITING_MAX = 256;

export const scannerPlaces = (): Places => new Places(AT_ONCE, WAITING_MAX);

/**
 * Asks a scanner or a policy server (`admit`). Whoever is asked may pull the content by a name of its own while the question is open.
 * Rejects with JudgeError for everything but a plain yes or no.
 */
export function createAdmit(options: AdmitOptions): Judge {
  return {
    name: 'admit',
    fingerprint: options.fingerprint,
    covers: 'itself',
    onError: options.onError,
    async judge(content, signal) {
      if (isIndexType(content.mediaType)) return { kind: 'admitted', reason: 'it is an index' };
      const leave = await options.places.take(signal);
      if (leave === undefined) throw new JudgeError('too much waits to be looked at: try again later');
      try {
        return await ask(options, content, signal);
      } finally {
        leave();
      }
    },
  };
}

async function ask(
  { clock, questions, address, send, timeoutMs }: AdmitOptions,
  content: Entering,
  signal: AbortSignal,
): ReturnType<Judge['judge']> {
  const repository = `${content.registry}/${content.repository}`;
  const question = questions.open(repository, [content.digest, ...namesOf(content).blobs]);
  const limit = new AbortController();
  const timer = clock.after(timeoutMs, () => limit.abort(new JudgeError(`it gave no answer within ${timeoutMs / 1000} s`)));
  try {
    await question.known;
    const body = Buffer.from(questionText(content, address(), question.nonce));
    const answer = await send(body, AbortSignal.any([signal, limit.signal]));
    return readAnswer(answer);
  } catch (error) {
    if (limit.signal.aborted) throw limit.signal.reason as Error;
    if (error instanceof JudgeError) throw error;
    throw new JudgeError(`it could not be asked${codeOf(error)}`, { cause: error });
  } finally {
    timer.cancel();
    question.close();
  }
}

/** ` (ECONNREFUSED)`: what is wrong, without the address. */
function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[A-Z0-9_]{1,40}$/.test(code) ? ` (${code})` : '';
}
