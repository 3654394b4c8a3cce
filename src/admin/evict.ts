import type { TagRecord } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { AdminError } from './admin-error.ts';
import type { AdminOptions } from './admin.ts';
import { matchHeld } from './matching.ts';

/** What of a repository is to go: see `evict/release-images.ts`, whose shape this is. */
export interface Doomed {
  readonly repository: string;
  readonly tags: readonly { readonly tag: string; readonly record: TagRecord }[];
  readonly digests: readonly Digest[];
  readonly whole: boolean;
}

/** One line of what an eviction does, or would do; the last is the whole: see `evict/events.ts`. */
export type EvictStep =
  | ({
      readonly kind: 'image';
      readonly repository: string;
      readonly tag: string | undefined;
      readonly digest: string | undefined;
    } & Fate)
  | ({ readonly kind: 'blob'; readonly digest: string; readonly bytes: number } & Fate)
  | { readonly kind: 'round'; readonly due: boolean; readonly bytes: number; readonly files: number }
  | {
      readonly kind: 'done';
      readonly dryRun: boolean;
      readonly images: number;
      readonly kept: number;
      readonly blobs: number;
      readonly bytes: number;
      readonly ms: number;
    };

export type Fate = { readonly goes: true; readonly why?: string } | { readonly goes: false; readonly why: string };

export interface EvictRequest {
  /** An image, a repository, or a pattern with `*`; `undefined`: what the limits would take next, as a dry run alone. */
  readonly pattern: string | undefined;
  readonly dryRun: boolean;
}

type EvictOptions = Pick<AdminOptions, 'records' | 'resolve' | 'match' | 'shown' | 'cache'>;

/** Throws AdminError where nothing held matches, and at the end where all that matches stays. */
export async function* evictHeld(options: EvictOptions, { pattern, dryRun }: EvictRequest): AsyncGenerator<EvictStep> {
  if (pattern === undefined) {
    if (!dryRun) throw new AdminError('say what is to go: an image, a repository, or a pattern such as "docker.io/library/*"');
    return yield* options.cache.nextToGo();
  }
  let reason: string | undefined;
  for await (const step of options.cache.evict(matchHeld(options, pattern), { dryRun })) {
    if (step.kind === 'image' && !step.goes) reason ??= step.why;
    if (step.kind === 'done' && step.images === 0)
      throw new AdminError(
        reason === undefined ? `nothing that is held matches ${pattern}` : `nothing that matches ${pattern} may go: ${reason}`,
      );
    yield step.kind === 'image' ? { ...step, repository: options.shown(step.repository) } : step;
  }
}
