import type { CollectEvent } from '../observe/events.ts';
import type { RouteQuota } from './status.ts';

/** What a collection is asked to do: see `evict/collect.ts`, whose shapes these are. */
export interface CollectRequest {
  readonly dryRun: boolean;
  readonly deleteUntagged: boolean;
}

/** One thing that went, or with a dry run would go; the last is the whole. */
export type CollectStep =
  | { readonly kind: 'tag'; readonly repository: string; readonly tag: string; readonly why: string }
  | { readonly kind: 'manifest'; readonly repository: string; readonly digest: string }
  | { readonly kind: 'link'; readonly repository: string; readonly digest: string }
  | { readonly kind: 'blob'; readonly digest: string; readonly bytes: number }
  | { readonly kind: 'unreadable'; readonly repository: string; readonly digest: string }
  | ({ readonly kind: 'quota' } & RouteQuota)
  | CollectEvent;

export type Collect = (request: CollectRequest) => AsyncIterable<CollectStep>;
