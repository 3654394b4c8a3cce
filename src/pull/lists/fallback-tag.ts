import type { Source } from '../cache-status.ts';
import type { ManifestAnswer, ManifestRefusal } from '../manifest.ts';
import type { Name } from '../name.ts';
import type { Client } from '../passthrough.ts';
import type { PullRequest } from '../pull.ts';
import type { Refusal } from '../refusal.ts';
import { newTrace, noteTried, type Trace } from '../trace.ts';

/** A manifest by the same steps as a client's pull, without the reply. */
export type GetManifest = (request: PullRequest) => Promise<ManifestAnswer | ManifestRefusal>;

/** The bytes behind a tag, for the referrers tag schema. */
export async function tagBytes(
  manifest: GetManifest,
  name: Name,
  tag: string,
  { client, trace }: { readonly client?: Client | undefined; readonly trace: Trace },
): Promise<{ readonly bytes: Uint8Array; readonly source: Source } | Refusal> {
  // The request is for a list: that a manifest was read on the way is not what its record and its metrics are about.
  const inner = newTrace(trace.requestId);
  const answer = await manifest({
    method: 'GET',
    target: { kind: 'manifest', name, reference: { kind: 'tag', tag } },
    client,
    signal: new AbortController().signal,
    trace: inner,
  });
  noteTried(trace, inner.tried, inner.upstream);
  if (answer.kind === 'refused') return answer.refusal;
  if (answer.bytes === undefined) throw new Error('a GET of a manifest brought no bytes');
  return { bytes: answer.bytes, source: answer.source };
}
