import type { Blob } from '../../fakes/images.ts';
import { answerText, type Answers } from './answer.ts';

/** What is pulled: one manifest, by tag or digest, and the blobs that it names. */
export type ObjectName = 'manifest' | 'blob0' | 'blob1';

/** `up`: its answers are as written. `dead`: nobody listens. `silent`: it takes connections and says nothing. */
export interface UpstreamPlan {
  readonly mode: 'up' | 'dead' | 'silent';
  /** It wants a token, which it gives to anybody. */
  readonly signIn: boolean;
  readonly answers: Readonly<Record<ObjectName, Answers>>;
}

/** One client's request. */
export interface Wish {
  readonly object: ObjectName;
  readonly method: 'GET' | 'HEAD';
  /** `to` exclusive. */
  readonly range?: { readonly from: number; readonly to: number };
}

export interface Schedule {
  readonly seed: number;
  readonly balance: string;
  readonly replicas: boolean;
  readonly hedge: boolean;
  /** Ranges of a large blob at once. */
  readonly parallel: number;
  readonly chain: readonly UpstreamPlan[];
  readonly blobs: readonly [Blob, Blob];
  /** By which the manifest is asked for. */
  readonly by: 'tag' | 'digest';
  /** One after another; the wishes of a round at once. */
  readonly rounds: readonly (readonly Wish[])[];
}

/** For people: what to look at when it fails. */
export function scheduleText(schedule: Schedule): string {
  const { seed, balance, replicas, hedge, parallel, chain, blobs, by, rounds } = schedule;
  const lines = chain.flatMap(({ mode, signIn, answers }, at) =>
    mode === 'up'
      ? Object.entries(answers).map(
          ([object, list]) => `  up${at}${signIn ? ' (token)' : ''} ${object}: ${list.map(answerText).join(', ')} …`,
        )
      : [`  up${at} ${mode}`],
  );
  return [
    `seed ${seed}: balance ${balance}${replicas ? ', replicas' : ''}${hedge ? ', hedge' : ''}, parallel ${parallel}, a chain of ${chain.length}, manifest by ${by}`,
    ...blobs.map(({ size, digest }, at) => `  blob${at}: ${size} bytes, ${digest}`),
    ...lines,
    ...rounds.map((wishes, at) => `  round ${at}: ${wishes.map(wishText).join(', ')}`),
  ].join('\n');
}

export function wishText({ method, object, range }: Wish): string {
  return `${method} ${object}${range === undefined ? '' : ` ${range.from}-${range.to}`}`;
}
