import type { Digest } from '../oci/digest.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** How an image's name was understood. */
export interface Resolution {
  /** Sentences, one a step: which rule of the names applied, and what came of it. */
  readonly steps: readonly string[];
  readonly registry: string;
  readonly repository: string;
  /** A tag (`latest` where none was said) or a digest. */
  readonly reference: string;
  /** The moment that the name asks for, ms since the epoch. */
  readonly asof?: number;
}

/** By the same rules as a request's name. Throws AdminError or RegistryError for what can be no image. */
export type Resolve = (image: string) => Resolution;

/** The route that a name takes, `undefined` where none matches. */
export type RouteOf = (name: { readonly registry: string; readonly repository: string }) => RouteView | undefined;

export interface RouteView {
  readonly name: string;
  /** `config.yml:12`; `undefined` where it stands in no file. */
  readonly at: string | undefined;
  readonly deny: boolean;
  /** Nobody is asked: `chain` is empty. */
  readonly offline: boolean;
  /** What was pushed here is a member of the chain. */
  readonly hosted: boolean;
  /** It is the only one. */
  readonly alone: boolean;
  readonly push: boolean;
  /** The chain as it is written, `hosted` among it. */
  readonly names: readonly string[];
  readonly chain: readonly Upstream[];
  /** How long a tag is believed, ms. */
  readonly tagttlMs: number;
  /** How long a digest has to have stood under its tag, ms; 0: for no time. */
  readonly cooldownMs: number;
  /** Tags are answered as they stood then, ms since the epoch. */
  readonly asof: number | undefined;
  /** Its rules about content, where it has any. */
  readonly admission?: ContentRules | undefined;
}

/** What judges say of content. `repository` with its registry. */
export interface ContentRules {
  /** Of each, in the order in which they are asked. */
  verdicts(repository: string, digest: Digest): Promise<readonly JudgeView[]>;
  /** Forgets what was said of all the digests of an image. Yields how many verdicts went. */
  forget(repository: string, image: ReadonlySet<Digest>): Promise<number>;
}

export interface JudgeView {
  /** `digests`, `signed`, `admit`. */
  readonly judge: string;
  /** `undefined`: it was not asked. */
  readonly admitted: boolean | undefined;
  readonly reason: string;
  /** When it said so, ms since the epoch. */
  readonly at: number | undefined;
}

/** What came of asking upstream for a tag. */
export interface RefreshResult {
  readonly outcome: 'unchanged' | 'moved' | 'new' | 'gone' | 'failed';
  readonly digest?: Digest | undefined;
  /** What the tag pointed to before. */
  readonly before?: Digest | undefined;
  /** Why it failed. */
  readonly message?: string | undefined;
}

/** Whether an image's name says a tag or a digest. */
export function isTagged(image: string): boolean {
  return /[:@][^/]*$/.test(image.replace(/^[^/]*:\d+\//, ''));
}
