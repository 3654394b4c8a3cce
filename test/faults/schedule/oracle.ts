import type { Blob } from '../../fakes/images.ts';
import type { Answer } from './answer.ts';
import type { ObjectName, Schedule, UpstreamPlan, Wish } from './schedule.ts';

/*
 * What a schedule must come to, from its text alone. Nothing here knows how Entrepot does it.
 */

const KIB = 1024;

/** What one answer is worth to somebody who wants the rest of the content. `doubtful`: nothing, or nobody knows how much. */
export function worthOf(answer: Answer): 'rest' | 'some' | 'doubtful' | 'wrong' {
  switch (answer.is) {
    case 'well':
    case 'slow':
    case 'unsized':
    case 'ignores-range':
      return 'rest';
    case 'signed':
      return answer.after === undefined ? 'rest' : 'some';
    case 'cut-forgotten':
    case 'stall':
      return answer.after >= 64 * KIB ? 'some' : 'doubtful';
    case 'cut':
      // What a reset leaves of the bytes before it is the receiving system's to decide.
      return answer.after >= 64 * KIB && answer.how === 'fin' ? 'some' : 'doubtful';
    case 'flip':
    case 'flip-cut':
    case 'other-size':
    case 'lies':
    case 'shifted':
      return 'wrong';
    case 'expired':
    case 'hang-up':
    case 'silent':
    case 'status':
      return 'doubtful';
  }
}

/** Somebody in the chain sends wrong bytes, lengths or places of this object at some time. */
export function isWrong(schedule: Schedule, object: ObjectName): boolean {
  return schedule.chain.some(
    ({ mode, answers }) => mode === 'up' && answers[object].some((answer) => worthOf(answer) === 'wrong'),
  );
}

/** Failures in a row after which an upstream is passed over for a while. */
const PATIENCE = 5;

/**
 * It could complete the object alone, whenever it is asked: each of its answers brings the rest, or 64 KiB at least. It does
 * not count where other objects give a reason to pass it over: a 429, or as many failures as that takes.
 */
export function canComplete(plan: UpstreamPlan, object: ObjectName): boolean {
  if (plan.mode !== 'up' || isPassedOver(plan)) return false;
  return plan.answers[object].every((answer) => ['rest', 'some'].includes(worthOf(answer)));
}

export function isPassedOver({ answers }: UpstreamPlan): boolean {
  const lists = Object.values(answers);
  const limited = lists.flat().some((answer) => answer.is === 'status' && answer.code === 429);
  const failures = lists.flat().filter((answer) => worthOf(answer) === 'doubtful').length;
  const forEver = lists.some((list) => worthOf(list.at(-1)!) === 'doubtful');
  return limited || forEver || failures >= PATIENCE;
}

/**
 * `first`: whoever asks first gets all of it. `next`: whoever was cut or refused gets it the next time. A manifest is
 * verified before its first byte leaves, and so is a blob of up to 256 KiB whose length everybody tells: nobody need know of
 * a wrong one.
 */
export function promiseOf(schedule: Schedule, object: ObjectName): 'first' | 'next' | 'nothing' {
  if (!schedule.chain.some((plan) => canComplete(plan, object))) return 'nothing';
  return object !== 'manifest' && isWrong(schedule, object) && !isVerifiedFirst(schedule, object) ? 'next' : 'first';
}

function isVerifiedFirst({ chain, blobs }: Schedule, object: 'blob0' | 'blob1'): boolean {
  const answers = chain.flatMap((plan) => plan.answers[object]);
  return blobOf(blobs, object).size <= 256 * KIB && !answers.some(({ is }) => TELLS_NO_LENGTH.has(is));
}

const TELLS_NO_LENGTH: ReadonlySet<Answer['is']> = new Set(['unsized', 'other-size', 'lies']);

/**
 * How often somebody who was cut may be cut again. What is too large to be verified before its first byte leaves is sent as it
 * comes, from one upstream after the other.
 */
export function furtherTries({ chain, blobs }: Schedule, object: ObjectName): number {
  return object !== 'manifest' && blobOf(blobs, object).size > 32 * KIB * KIB ? chain.length : 0;
}

/** Answers may be unverified only in ranges, only before the last 64 KiB, and only of what is not verified beforehand. */
export function mayBeWrong(schedule: Schedule, { object, range }: Wish): boolean {
  if (object === 'manifest' || range === undefined || !isWrong(schedule, object)) return false;
  const { size } = blobOf(schedule.blobs, object);
  // Who lies about the length moves that boundary.
  const lied = schedule.chain.some(({ answers }) => answers[object].some(({ is }) => is === 'other-size' || is === 'lies'));
  return lied || (size > 256 * KIB && range.to <= size - 64 * KIB);
}

function blobOf([blob0, blob1]: Schedule['blobs'], object: 'blob0' | 'blob1'): Blob {
  return object === 'blob0' ? blob0 : blob1;
}

/** No request may take longer, milliseconds: every limit that can run out does, and the chain is gone round a few times. */
export function longestMs({ chain }: Schedule, limitMs: number): number {
  const timed = chain
    .flatMap(({ answers }) => Object.values(answers).flat())
    .filter(({ is }) => is === 'silent' || is === 'stall').length;
  return (timed + 4 * chain.length) * limitMs + 5_000;
}
