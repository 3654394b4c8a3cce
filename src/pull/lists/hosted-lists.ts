import type { Records } from '../../metadata/records.ts';
import { parseDigest, type Digest } from '../../oci/digest.ts';
import { RegistryError } from '../../oci/errors.ts';
import { OCI_INDEX } from '../../oci/media-types.ts';
import { sleep, type Clock } from '../../system/clock.ts';
import { HOSTED_STATUS } from '../cache-status.ts';
import type { ReportPull } from '../events.ts';
import { ownerOf } from '../hosted.ts';
import type { Name } from '../name.ts';
import type { Reply } from '../reply.ts';
import type { Route } from '../route.ts';
import type { Trace } from '../trace.ts';
import { unlessTrouble } from '../trouble.ts';
import { linkTo, PAGE_MAX, readPage, type Page } from './paging.ts';
import { imageIndex, json } from './reply.ts';

interface HostedListsDeps {
  readonly records: Records;
  readonly clock: Clock;
  readonly report: ReportPull;
}

interface HostedAsk {
  readonly name: Name;
  readonly route: Route;
  readonly trace: Trace;
}

const HIT = { outcome: 'hit' } as const;

/** The tags that were pushed (OCI distribution-spec, "Listing Tags"); `undefined` where the rest of the chain is to be asked. */
export async function tagsHosted(
  deps: HostedListsDeps,
  { name, route, trace }: HostedAsk,
  page: Page,
): Promise<Reply | undefined> {
  const holder = `${name.registry}/${name.repository}`;
  if ((await ownerOf(deps, route, holder)) === undefined) {
    if (!route.alone) return undefined;
    trace.outcome = 'negative';
    throw new RegistryError('NAME_UNKNOWN', `nothing was pushed here as ${name.shown}`, {
      headers: { 'cache-status': HOSTED_STATUS },
    });
  }
  const limit = page.n ?? PAGE_MAX;
  const found =
    limit === 0 ? [] : await unlessTrouble(deps.report, async () => deps.records.hostedTags(holder, page.last, limit + 1));
  const tags = found.slice(0, limit).map(({ tag }) => tag);
  const next = found.length > limit ? { n: String(limit), last: tags.at(-1) ?? '' } : undefined;
  trace.outcome = 'hit';
  return json(
    { name: name.shown, tags },
    HIT,
    next === undefined ? {} : { link: linkTo(`${name.base}/tags/list`, next, name.ns) },
  );
}

/** Bytes of a page. Clients take no more than 4 MiB of an index, and annotations are theirs to write. */
const INDEX_BYTES_MAX = 3 * 1024 * 1024;

/** Referrers that are looked at for one page, whatever the filter leaves of them. */
const LOOKED_AT_MAX = 10_000;

const LOOK = 500;

/**
 * The manifests that were pushed with this subject (OCI distribution-spec, "Listing Referrers"): a 200 whether there are any
 * or not, since the subject may be pushed after them. `undefined` where the rest of the chain is to be asked.
 */
export async function referrersHosted(
  deps: HostedListsDeps,
  { name, route, trace, digest, query }: HostedAsk & { readonly digest: Digest; readonly query: URLSearchParams },
): Promise<Reply | undefined> {
  const holder = `${name.registry}/${name.repository}`;
  if (!route.alone && (await ownerOf(deps, route, holder)) === undefined) return undefined;
  if (!route.hosted) return undefined;
  const artifactType = query.get('artifactType') ?? undefined;
  const limit = Math.max(1, readPage(query).n ?? PAGE_MAX);
  const after = lastOf(query);
  const { manifests, last } = await unlessTrouble(deps.report, () =>
    collect(deps, { holder, subject: digest, artifactType, limit, after }),
  );
  trace.outcome = 'hit';
  const bytes = new TextEncoder().encode(`{"schemaVersion":2,"mediaType":"${OCI_INDEX}","manifests":[${manifests.join(',')}]}`);
  const filter: Readonly<Record<string, string>> = artifactType === undefined ? {} : { artifactType };
  const next = { ...filter, ...(query.has('n') ? { n: String(limit) } : {}), last: last ?? '' };
  return imageIndex(bytes, HIT, {
    ...(last === undefined ? {} : { link: linkTo(`${name.base}/referrers/${digest}`, next, name.ns) }),
    ...(artifactType === undefined ? {} : { 'oci-filters-applied': 'artifactType' }),
  });
}

interface Wanted {
  readonly holder: string;
  readonly subject: Digest;
  readonly artifactType: string | undefined;
  readonly limit: number;
  readonly after: Digest | undefined;
}

/** Descriptors as JSON, and after which digest the next page goes on; without one there is none. */
async function collect(
  { records, clock }: HostedListsDeps,
  { holder, subject, artifactType, limit, after }: Wanted,
): Promise<{ readonly manifests: readonly string[]; readonly last: Digest | undefined }> {
  const manifests: string[] = [];
  let bytes = 0;
  let last = after;
  for (let lookedAt = 0; lookedAt < LOOKED_AT_MAX; lookedAt += LOOK) {
    const found = await records.referrers(holder, subject, last, LOOK);
    for (const { digest, record } of found) {
      if (artifactType === undefined || record.artifactType === artifactType) {
        const descriptor = JSON.stringify({ ...record, digest });
        bytes += Buffer.byteLength(descriptor);
        // One that is too long by itself is a page of its own.
        if (manifests.length === limit || (manifests.length > 0 && bytes > INDEX_BYTES_MAX)) return { manifests, last };
        manifests.push(descriptor);
      }
      last = digest;
    }
    if (found.length < LOOK) return { manifests, last: undefined };
    // The embedded store answers at once: others get their turn between two looks.
    await sleep(clock, 0);
  }
  return { manifests, last };
}

function lastOf(query: URLSearchParams): Digest | undefined {
  const last = query.get('last');
  if (last === null || last === '') return undefined;
  const digest = parseDigest(last);
  if (digest !== undefined) return digest;
  throw new RegistryError('DIGEST_INVALID', 'last: is no sha256 or sha512 digest');
}
