import type { LetIn, LetInRecord, VerdictRecord } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { readManifest, type Manifest } from '../oci/manifest.ts';
import { isIndexType } from '../oci/media-types.ts';
import type { Clock } from '../system/clock.ts';
import type { ReportAdmission } from './events.ts';
import type { Entering, Judge, Judgement } from './judge.ts';
import type { Ledger } from './ledger.ts';
import { cleanReason } from './reason.ts';

/** For how long it counts that something was let in because a judge could not be asked: as long as a pull may take. */
const FOR_NOW_MS = 15 * 60_000;

/** What counts is noted anew after so long, so that it is not forgotten. */
export const RENEW_MS = 7 * 86_400_000;

/** What came of it. `unknown`: nothing could be found out, and the route does not let in what nobody has looked at. */
export type Decision =
  | { readonly kind: 'admitted' }
  | { readonly kind: 'refused'; readonly judge: Judge['name']; readonly reason: string }
  | { readonly kind: 'unknown'; readonly judge: Judge['name']; readonly error: unknown };

export interface DecideDeps {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly report: ReportAdmission;
  /** Ends with the server. */
  readonly signal: AbortSignal;
}

/** The rules of a route, and how answers by them are kept. */
export interface Bench {
  readonly judges: readonly Judge[];
  /** Stands for all of them. */
  readonly scope: string;
}

/** How what one judge said is kept. */
export function scopeOf({ name, fingerprint }: Judge): string {
  return `${name} ${fingerprint}`;
}

/** Asks each judge that has not said it yet, in order, until one refuses; and keeps what was said, and what that lets in. */
export async function decide(
  deps: DecideDeps,
  { judges, scope }: Bench,
  content: Entering,
  onAsk: (judge: Judge) => void,
): Promise<Decision> {
  const repository = `${content.registry}/${content.repository}`;
  let forNow = false;
  for (const judge of judges) {
    onAsk(judge);
    const said = await hear(deps, judge, repository, content);
    if (said.kind === 'failed') {
      if (judge.onError === 'refuse') return { kind: 'unknown', judge: judge.name, error: said.error };
      deps.report({ kind: 'let-in-anyway', ...nameOf(judge), repository, digest: content.digest });
      forNow = true;
    } else if (said.kind === 'refused') {
      await shutOut(deps.ledger, { judges, scope }, content);
      return { kind: 'refused', judge: judge.name, reason: said.reason };
    } else if (said.forNow === true) forNow = true;
  }
  await letIn(deps, { judges, scope }, content, forNow);
  return { kind: 'admitted' };
}

/** `forNow`: by an index that is let in only while a judge cannot be asked. */
type Said = (Judgement & { readonly forNow?: boolean }) | { readonly kind: 'failed'; readonly error: unknown };

async function hear(deps: DecideDeps, judge: Judge, repository: string, content: Entering): Promise<Said> {
  const { ledger, clock } = deps;
  const scope = scopeOf(judge);
  const { digest, mediaType } = content;
  const known = await ledger.verdict(scope, repository, digest);
  const cover = known?.admitted === true ? undefined : await coverOf(deps, scope, repository, digest);
  if (cover !== undefined)
    return { kind: 'admitted', reason: 'an index that lists it is let in', forNow: cover.until !== undefined };
  if (known !== undefined && !isOver(judge, known, clock.now())) {
    if (clock.now() - known.used > RENEW_MS) await ledger.note(scope, { ...known, used: clock.now() });
    return { kind: known.admitted ? 'admitted' : 'refused', reason: known.reason };
  }
  if (judge.covers === 'itself' && isIndexType(mediaType)) return { kind: 'admitted', reason: 'it is an index' };
  const said = await ask(deps, judge, repository, content);
  // What was refused stays so until somebody says otherwise.
  return said.kind === 'failed' && known !== undefined ? { kind: 'refused', reason: known.reason } : said;
}

/** What a judge refused for a while alone. */
function isOver({ refusesForMs }: Judge, { admitted, at }: VerdictRecord, now: number): boolean {
  const age = now - at;
  return !admitted && refusesForMs !== undefined && (age < 0 || age >= refusesForMs);
}

async function coverOf(
  { ledger, clock }: DecideDeps,
  scope: string,
  repository: string,
  digest: Digest,
): Promise<LetInRecord | undefined> {
  const now = clock.now();
  try {
    const record = await ledger.by(scope, repository, digest, now);
    if (record !== undefined && record.until === undefined && now - record.at > RENEW_MS)
      await ledger.letIn(scope, repository, [{ digest, record: { ...record, at: now } }]);
    return record;
  } catch {
    return undefined; // Then it is judged by itself.
  }
}

async function ask(
  { ledger, clock, report, signal }: DecideDeps,
  judge: Judge,
  repository: string,
  content: Entering,
): Promise<Said> {
  const { digest } = content;
  let said: Judgement;
  try {
    said = await judge.judge(content, signal);
  } catch (error) {
    report({ kind: 'judge-failed', ...nameOf(judge), error });
    return { kind: 'failed', error };
  }
  report({ kind: 'judge-answers', ...nameOf(judge) });
  const reason = cleanReason(said.reason);
  const admitted = said.kind === 'admitted';
  const { name, fingerprint } = judge;
  const now = clock.now();
  await ledger.note(scopeOf(judge), { judge: name, fingerprint, repository, digest, admitted, reason, at: now, used: now });
  report({ kind: 'judged', ...nameOf(judge), repository, digest, admitted, reason });
  return { kind: said.kind, reason };
}

/** Blobs first, the manifest last: whoever finds that it is let in finds so of all that it names. */
async function letIn(
  { ledger, clock }: DecideDeps,
  { judges, scope }: Bench,
  content: Entering,
  forNow: boolean,
): Promise<void> {
  const repository = `${content.registry}/${content.repository}`;
  const at = clock.now();
  const record = { by: content.digest, at, ...(forNow ? { until: at + FOR_NOW_MS } : {}) };
  const { blobs, children } = namesOf(content);
  const covered = children.map((digest): LetIn => ({ digest, record }));
  for (const judge of judges)
    if (judge.covers === 'children' && covered.length > 0) await ledger.letIn(scopeOf(judge), repository, covered);
  await ledger.letIn(
    scope,
    repository,
    [...blobs, content.digest].map((digest) => ({ digest, record })),
  );
}

/** It may have been let in while a judge could not be asked. */
async function shutOut(ledger: Ledger, { judges, scope }: Bench, content: Entering): Promise<void> {
  const { digest } = content;
  const repository = `${content.registry}/${content.repository}`;
  if ((await ledger.self(scope, repository, digest)) === undefined) return;
  const { blobs, children } = namesOf(content);
  try {
    await ledger.shutOut(scope, repository, [digest, ...blobs], digest);
    for (const judge of judges) await ledger.shutOut(scopeOf(judge), repository, children, digest);
  } catch {
    // What was let in for now ends by itself.
  }
}

/** Of each what a manifest names; nothing of one of a kind that nobody can read. */
export function namesOf({ bytes, mediaType }: Pick<Entering, 'bytes' | 'mediaType'>): {
  readonly blobs: readonly Digest[];
  readonly children: readonly Digest[];
} {
  const manifest: Manifest | undefined = asManifest(readManifest(bytes, mediaType));
  const digests = (of: Manifest['blobs'] = []): Digest[] => [...new Set(of.map(({ digest }) => digest))];
  return { blobs: digests(manifest?.blobs), children: digests(manifest?.children) };
}

function asManifest(read: ReturnType<typeof readManifest>): Manifest | undefined {
  return read.kind === 'manifest' ? read : undefined;
}

function nameOf({ name, fingerprint }: Judge): { readonly judge: Judge['name']; readonly fingerprint: string } {
  return { judge: name, fingerprint };
}
