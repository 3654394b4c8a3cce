import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { sleep, type Clock } from '../system/clock.ts';
import { decide, RENEW_MS, scopeOf, type Bench, type DecideDeps, type Decision } from './decide.ts';
import { fingerprintOf } from './fingerprint.ts';
import { JudgeError, type Judge } from './judge.ts';
import type { Questions } from './questions.ts';

/** What is about to be answered with; as `pull/admission.ts` has it. */
export interface Answering {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly read: () => Promise<Uint8Array>;
  readonly waitMs: number;
}

export interface Wanted {
  readonly registry: string;
  readonly repository: string;
  readonly digest: Digest;
}

/** A judge's no; `reason` goes on from "refused by admit: ". */
export interface Refused {
  readonly judge: Judge['name'];
  readonly reason: string;
}

/** What a judge has said, for `explain`. */
export interface JudgeView {
  readonly judge: Judge['name'];
  /** `undefined`: it was not asked yet, or lets an index pass. */
  readonly admitted: boolean | undefined;
  readonly reason: string;
  /** When it said so, ms since the epoch. */
  readonly at: number | undefined;
}

export interface Admission {
  manifest(answering: Answering, signal: AbortSignal): Promise<Refused | undefined>;
  blob(wanted: Wanted): Promise<Refused | undefined>;
  /** What is never served, whoever asks. */
  denied(digest: Digest): Refused | undefined;
  /** Whether who asks under this name is being asked about just that. */
  opens(nonce: string, wanted: Wanted): boolean;
  /** Of each judge, in order. `repository` with its registry. */
  verdicts(repository: string, digest: Digest): Promise<readonly JudgeView[]>;
  /** Forgets what was said of an image, of all its digests, so that it is asked anew. Yields of how much. */
  forget(repository: string, image: ReadonlySet<Digest>): Promise<number>;
}

export interface AdmissionDeps extends DecideDeps {
  readonly questions: Questions;
  /** The same work, which goes on although who wanted it has gone. */
  readonly track: <T>(work: Promise<T>) => Promise<T>;
}

export interface Rules {
  readonly deny: readonly Digest[];
  readonly judges: readonly Judge[];
}

/** What was let in because a judge could not be asked is asked about again after this. */
const AGAIN_MS = 30_000;

/** One question of a manifest, for all who wait for it. */
interface Running {
  readonly decision: Promise<Decision>;
  /** Who is asked now. */
  judge: Judge['name'];
}

/** Makes the rules of routes into answers. What runs goes on over a reload, and is not asked twice. */
export function createAdmissions(deps: AdmissionDeps): { of(rules: Rules): Admission } {
  const running = new Map<string, Running>();
  return { of: (rules) => new RouteAdmission(deps, running, rules) };
}

class RouteAdmission implements Admission {
  readonly #deps: AdmissionDeps;
  readonly #running: Map<string, Running>;
  readonly #deny: ReadonlySet<Digest>;
  readonly #bench: Bench;

  constructor(deps: AdmissionDeps, running: Map<string, Running>, { deny, judges }: Rules) {
    this.#deps = deps;
    this.#running = running;
    this.#deny = new Set(deny);
    this.#bench = { judges, scope: fingerprintOf(...judges.map(scopeOf)) };
  }

  async manifest(answering: Answering, signal: AbortSignal): Promise<Refused | undefined> {
    const denied = this.denied(answering.digest);
    if (denied !== undefined || this.#bench.judges.length === 0) return denied;
    if (await this.#isLetIn(answering)) return undefined;
    const running = this.#ask(answering);
    const decision = await waitFor(this.#deps.clock, running.decision, answering.waitMs, signal);
    if (decision === undefined) throw lookedAt(answering, running.judge);
    if (decision.kind === 'unknown') throw unknown(answering, decision);
    return decision.kind === 'refused' ? decision : undefined;
  }

  async blob({ registry, repository, digest }: Wanted): Promise<Refused | undefined> {
    const denied = this.denied(digest);
    const [judge] = this.#bench.judges;
    if (denied !== undefined || judge === undefined) return denied;
    const { ledger, clock } = this.#deps;
    let found: unknown;
    try {
      found = await ledger.by(this.#bench.scope, `${registry}/${repository}`, digest, clock.now());
    } catch (cause) {
      const message = `${registry}/${repository}@${digest}: the metadata of this registry cannot be asked now, and nothing else tells whether it is let in`;
      throw new RegistryError('UNAVAILABLE', message, { status: 503, headers: { 'retry-after': '5' }, cause });
    }
    if (found !== undefined) return undefined;
    return { judge: judge.name, reason: 'no manifest of this repository that was let in names it: pull its image first' };
  }

  denied(digest: Digest): Refused | undefined {
    if (!this.#deny.has(digest)) return undefined;
    return { judge: 'digests', reason: 'it is on the list of what is never served (digests.deny)' };
  }

  opens(nonce: string, { registry, repository, digest }: Wanted): boolean {
    return !this.#deny.has(digest) && this.#deps.questions.allows(nonce, `${registry}/${repository}`, digest);
  }

  async verdicts(repository: string, digest: Digest): Promise<readonly JudgeView[]> {
    const denied = this.denied(digest);
    if (denied !== undefined) return [{ ...denied, admitted: false, at: undefined }];
    return Promise.all(this.#bench.judges.map((judge) => this.#viewOf(judge, repository, digest)));
  }

  async forget(repository: string, image: ReadonlySet<Digest>): Promise<number> {
    const { ledger } = this.#deps;
    let forgotten = 0;
    for (const digest of image) {
      const wasLetIn = (await ledger.self(this.#bench.scope, repository, digest)) !== undefined;
      let verdicts = 0;
      await ledger.forgetLetIn(this.#bench.scope, repository, digest, image);
      for (const judge of this.#bench.judges) {
        await ledger.forgetLetIn(scopeOf(judge), repository, digest, image);
        if (await ledger.forgetVerdict(scopeOf(judge), repository, digest)) verdicts += 1;
      }
      // What was let in for now has none.
      forgotten += Math.max(verdicts, wasLetIn ? 1 : 0);
    }
    return forgotten;
  }

  /** As the ledger has it; what it has had for long is noted anew, and nobody waits for that. */
  async #isLetIn(answering: Answering): Promise<boolean> {
    const { ledger, clock } = this.#deps;
    const { registry, repository, digest } = answering;
    const record = await ledger.self(this.#bench.scope, `${registry}/${repository}`, digest);
    if (record === undefined) return false;
    const age = clock.now() - record.at;
    if (record.until !== undefined) return age >= 0 && age < AGAIN_MS;
    if (age > RENEW_MS) void this.#ask(answering);
    return true;
  }

  #ask(answering: Answering): Running {
    const { registry, repository, tag, digest, mediaType } = answering;
    const key = `${this.#bench.scope} ${registry}/${repository}@${digest}`;
    const before = this.#running.get(key);
    if (before !== undefined) return before;
    const decided = async (): Promise<Decision> => {
      const bytes = await answering.read();
      const onAsk = (judge: Judge): void => void (running.judge = judge.name);
      return decide(this.#deps, this.#bench, { registry, repository, tag, digest, mediaType, bytes }, onAsk);
    };
    const decision = this.#deps.track(decided().finally(() => this.#running.delete(key)));
    const running: Running = { decision, judge: this.#bench.judges[0]?.name ?? 'admit' };
    this.#running.set(key, running);
    return running;
  }

  async #viewOf(judge: Judge, repository: string, digest: Digest): Promise<JudgeView> {
    const { ledger, clock } = this.#deps;
    const verdict = await ledger.verdict(scopeOf(judge), repository, digest);
    const covered = verdict?.admitted === true ? undefined : await ledger.by(scopeOf(judge), repository, digest, clock.now());
    const { name } = judge;
    if (covered !== undefined) return { judge: name, admitted: true, reason: `by the index ${covered.by}`, at: covered.at };
    if (verdict === undefined)
      return { judge: name, admitted: undefined, reason: 'it was not asked about this', at: undefined };
    return { judge: name, admitted: verdict.admitted, reason: verdict.reason, at: verdict.at };
  }
}

/** The work's result; `undefined` when it takes longer, or nobody waits any more. The work itself goes on. */
async function waitFor<T>(clock: Clock, work: Promise<T>, ms: number, signal: AbortSignal): Promise<T | undefined> {
  const timer = new AbortController();
  const end = (): void => timer.abort(new Error('nobody waits any more'));
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  const late = sleep(clock, ms, timer.signal).catch(() => undefined); // Whoever waited has gone, or has the answer.
  try {
    return await Promise.race([work, late.then(() => undefined)]);
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

const LOOKED_AT_SECONDS = 10;
const UNKNOWN_SECONDS = 15;

function lookedAt({ registry, repository, digest }: Answering, judge: Judge['name']): RegistryError {
  const message = `${registry}/${repository}@${digest}: is being looked at by ${judge}: try again in ${LOOKED_AT_SECONDS} s`;
  const headers = { 'retry-after': String(LOOKED_AT_SECONDS) };
  return new RegistryError('UNAVAILABLE', message, { status: 503, headers, detail: { judge } });
}

function unknown(
  { registry, repository, digest }: Answering,
  { judge, error }: Extract<Decision, { kind: 'unknown' }>,
): RegistryError {
  const why = error instanceof JudgeError || error instanceof RegistryError ? error.message : 'it could not be asked';
  const message = `${registry}/${repository}@${digest}: ${judge} could not tell whether it may be let in: ${why}`;
  const headers = { 'retry-after': String(UNKNOWN_SECONDS) };
  return new RegistryError('UNAVAILABLE', message, { status: 503, headers, detail: { judge }, cause: error });
}
