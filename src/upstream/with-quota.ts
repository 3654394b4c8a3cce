import type { Clock } from '../system/clock.ts';
import type { Ask } from './ask.ts';
import type { UpstreamAnswer, UpstreamRequest } from './upstream.ts';
import { untilAborted } from './waiting.ts';

/** What an upstream remembers across restarts. Trouble with it costs a question to the upstream, never an answer. */
export interface Memory {
  recall(key: string): Promise<Remembered | undefined> | Remembered | undefined;
  keep(key: string, record: Remembered): Promise<void>;
}

export interface Remembered {
  readonly value: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

export interface QuotaOptions {
  /** With our credentials. */
  readonly signed: Ask;
  /** Without any. */
  readonly anonymous: Ask;
  readonly clock: Clock;
  readonly memory: Memory;
  /** `authttl`: how long a proof holds. */
  readonly proofMs: number;
}

/**
 * `use: quota`: credentials pay for the rate limit and unlock nothing. A repository is served only if the same thing can be
 * read without them, asked once by HEAD; what is served then is public, and says so.
 */
export function withQuota(options: QuotaOptions): Ask {
  const proving = new Map<string, Promise<UpstreamAnswer>>();
  const prove = async (key: string, request: UpstreamRequest, signal: AbortSignal): Promise<UpstreamAnswer> => {
    const isList = request.kind === 'tags' || request.kind === 'referrers';
    const { range: _range, ...whole } = request;
    const answer = await options.anonymous(isList ? request : { ...whole, method: 'HEAD' }, signal);
    const proof = answer.kind === 'limited' && !isList ? await proveByTags(options, request, signal, answer) : answer;
    if (proof.kind === 'found') await keep(options, key);
    return proof;
  };
  return async (request, signal) => {
    const key = `public ${request.registry}/${request.repository}`;
    if (await isProven(options, key)) return asPublic(await options.signed(request, signal));
    const running = proving.get(key);
    if (running !== undefined) {
      // Somebody else's proof serves as well; that theirs failed does not speak for us.
      const proof = await untilAborted(running, signal).catch(() => undefined);
      if (proof?.kind === 'found') return asPublic(await options.signed(request, signal));
    }
    const proof = prove(key, request, signal).finally(() => proving.delete(key));
    if (!proving.has(key)) proving.set(key, proof);
    const answer = await proof;
    // A list costs no quota: the one that proves is the answer.
    if (answer.kind !== 'found' || request.kind === 'tags' || request.kind === 'referrers') return answer;
    return asPublic(await options.signed(request, signal));
  };
}

/**
 * An address that has nothing left must not keep an account from spending what it has. Lists are no pulls, and who may read
 * a repository's tags may pull it (distribution-spec auth/scope.md: both are `pull`). Otherwise it stays `limited`.
 */
async function proveByTags(
  { anonymous }: QuotaOptions,
  { registry, repository }: UpstreamRequest,
  signal: AbortSignal,
  limited: UpstreamAnswer,
): Promise<UpstreamAnswer> {
  try {
    const list = { kind: 'tags', method: 'GET', registry, repository, reference: '', query: { n: '1' } } as const;
    const answer = await anonymous(list, signal);
    if (answer.kind !== 'found') return limited;
    answer.body?.close();
    return { ...answer, body: undefined };
  } catch {
    // That it could not be found out changes nothing about what was said.
    return limited;
  }
}

function asPublic(answer: UpstreamAnswer): UpstreamAnswer {
  return answer.kind === 'found' ? { ...answer, anonymous: true } : answer;
}

async function isProven(options: QuotaOptions, key: string): Promise<boolean> {
  try {
    const record = await options.memory.recall(key);
    const leftMs = (record?.until ?? 0) - options.clock.now();
    // More is left than any proof lasts: a clock has jumped, or proofs lasted for longer then.
    return leftMs > 0 && leftMs <= options.proofMs;
  } catch {
    // Not to be found out: prove it again.
    return false;
  }
}

async function keep(options: QuotaOptions, key: string): Promise<void> {
  try {
    await options.memory.keep(key, { value: 'yes', until: options.clock.now() + options.proofMs });
  } catch {
    // The next request proves it again.
  }
}

/** What is remembered of one place, told apart from what is remembered of others. */
export function memoryOf(place: string, memory: Memory): Memory {
  return {
    recall: (key) => memory.recall(`${key} at ${place}`),
    keep: (key, record) => memory.keep(`${key} at ${place}`, record),
  };
}

/** For as long as the process lives, for so many keys. */
export function createProcessMemory(keysMax = 10_000): Memory {
  const records = new Map<string, Remembered>();
  return {
    recall: (key) => records.get(key),
    async keep(key, record) {
      records.delete(key);
      records.set(key, record);
      const [oldest] = records.keys();
      if (records.size > keysMax && oldest !== undefined) records.delete(oldest);
    },
  };
}
