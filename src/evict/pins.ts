import { allTags, type Records } from '../metadata/records.ts';

/** Images that are never evicted: all of the repositories that match, or of those only the tags that match. */
export interface Pin {
  /** As it was written. */
  readonly text: string;
  /** Over `registry/repository`. */
  readonly repository: (repository: string) => boolean;
  /** Undefined: whatever the tag. */
  readonly tag: ((tag: string) => boolean) | undefined;
}

/** Turns a glob into a test of texts; pull's, since routes and pins are spelt alike. */
export type Compile = (patterns: readonly string[]) => (text: string) => boolean;

/** `docker.io/library/*`, or with tags `docker.io/library/ubuntu:22.*`; a colon before the last slash is a port. */
export function compilePin(text: string, compile: Compile): Pin {
  const { repository, tag } = splitPin(text);
  return { text, repository: compile([repository]), tag: tag === undefined ? undefined : compile([tag]) };
}

/** The pattern of the repository, and that of its tags. */
export function splitPin(text: string): { readonly repository: string; readonly tag: string | undefined } {
  const colon = text.indexOf(':', text.lastIndexOf('/') + 1);
  if (colon === -1) return { repository: text, tag: undefined };
  return { repository: text.slice(0, colon), tag: text.slice(colon + 1) };
}

/** Digests that tags of the repository point to, of those tags that match. */
export async function* taggedBy(
  records: Pick<Records, 'tags'>,
  repository: string,
  matches: (tag: string) => boolean,
): AsyncGenerator<Parameters<Records['blob']>[0]> {
  for await (const { tag, record } of allTags(records, repository)) if (matches(tag)) yield record.digest;
}
