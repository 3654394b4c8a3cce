import type { Wish } from './puller.ts';
import type { Mood } from './network.ts';
import type { MetadataHealth } from './machine.ts';
import type { DiskOperation } from '../fakes/memory-disk.ts';
import type { Settings } from './settings.ts';
import { shortName } from './content.ts';

/** How a blob is sent: at once, in chunks, as a stream; `broken`: the client leaves in the middle and goes on later. */
export type Way = 'monolithic' | 'chunked' | 'streamed' | 'broken';

/** Plain data: one thing that is done to the world. What it begins goes on while later steps are done. */
export type Doing =
  /** By so many clients at once. */
  | { readonly do: 'pull'; readonly wish: Wish; readonly times: number }
  /** As a client pulls: the manifest, then what it names, all at once. */
  | { readonly do: 'pull-image'; readonly repository: string; readonly reference: string }
  | {
      readonly do: 'push-image';
      readonly repository: string;
      readonly image: string;
      readonly tags: readonly string[];
      readonly way: Way;
    }
  | { readonly do: 'push-blob'; readonly repository: string; readonly blob: number; readonly way: Way }
  | { readonly do: 'mount'; readonly repository: string; readonly from: string; readonly digest: string }
  | { readonly do: 'delete'; readonly repository: string; readonly kind: 'blob' | 'manifest'; readonly reference: string }
  | {
      readonly do: 'move';
      readonly upstream: string;
      readonly repository: string;
      readonly tag: string;
      readonly image: string;
    }
  | { readonly do: 'untag'; readonly upstream: string; readonly repository: string; readonly tag: string }
  | { readonly do: 'collect'; readonly dryRun: boolean; readonly deleteUntagged: boolean }
  | { readonly do: 'scrub'; readonly repair: boolean }
  | { readonly do: 'mood'; readonly upstream: string; readonly mood: Mood }
  | {
      readonly do: 'disk';
      readonly on: readonly DiskOperation[];
      readonly as: string | { readonly short: number };
      readonly nth?: number | undefined;
    }
  | { readonly do: 'metadata'; readonly health: MetadataHealth }
  | { readonly do: 'damage'; readonly digest: string; readonly how: 'gone' | 'short' | 'flip' }
  /** Every fault is over. */
  | { readonly do: 'calm' }
  /** Until everything that runs has ended, at most a minute. */
  | { readonly do: 'settle' }
  | { readonly do: 'jump'; readonly ms: number }
  | { readonly do: 'reload'; readonly settings: Settings }
  | { readonly do: 'terminate'; readonly drainMs: number }
  /** After so many more calls of disk and metadata: `power` loses what was not made durable, `kill` nothing. */
  | { readonly do: 'crash'; readonly how: 'power' | 'kill'; readonly after: number };

/** `gap`: simulated milliseconds until the next. */
export interface Step {
  readonly doing: Doing;
  readonly gap: number;
}

/** For people. */
export function stepText({ doing, gap }: Step): string {
  const { do: verb, ...rest } = doing;
  const said =
    'wish' in rest
      ? [...wishText(rest.wish), ...(rest.times === 1 ? [] : [`${rest.times} times`])]
      : Object.entries(rest).map(([key, value]) => `${key}=${plain(value)}`);
  return `${[verb, ...said].join(' ')}${gap === 0 ? '' : `, then ${gap} ms`}`;
}

export function wishText({ method, repository, kind, reference, range, leavesAfter, drip }: Wish): string[] {
  return [
    `${method} ${repository} ${kind} ${shown(reference)}`,
    ...(range === undefined ? [] : [range]),
    ...(leavesAfter === undefined ? [] : [`leaving after ${leavesAfter}`]),
    ...(drip === undefined ? [] : [`${drip.bytes} bytes each ${drip.ms} ms`]),
  ];
}

function plain(value: unknown): string {
  return typeof value === 'string' ? shown(value) : JSON.stringify(value);
}

function shown(reference: string): string {
  return reference.startsWith('sha256:') ? shortName(reference) : reference;
}
