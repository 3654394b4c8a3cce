import type { Change } from './change.ts';

/** A receiver of notifications. */
export interface Endpoint {
  /** Metric label, and the name of its queue: who renames it begins a new one. */
  readonly name: string;
  readonly url: string;
  /** Sent with each. The type and the signature are ours. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** How long an answer may take. */
  readonly timeoutMs: number;
  /** After so many failures in a row it is left alone for {@link backoffMs}. */
  readonly threshold: number;
  readonly backoffMs: number;
  /** Of targets that it is not told of. */
  readonly ignoredMediaTypes: ReadonlySet<string>;
  readonly ignoredActions: ReadonlySet<string>;
  /** Key of the signature; `undefined`: none is sent. */
  readonly secret: string | undefined;
}

/** Whether the endpoint is to be told. */
export function wants(
  { ignoredMediaTypes, ignoredActions }: Endpoint,
  { action, mediaType }: Pick<Change, 'action' | 'mediaType'>,
): boolean {
  return !ignoredActions.has(action) && !(mediaType !== undefined && ignoredMediaTypes.has(mediaType));
}
