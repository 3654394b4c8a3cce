import { MEDIA_TYPE } from './images.ts';
import { errorBody } from './scripted-auth.ts';
import type { Plan } from './scripted-behaviour.ts';
import type { Content } from './scripted-content.ts';
import type { RecordedRequest } from './scripted-request.ts';

/** What the registry offers beside manifests and blobs, and how. */
export interface ListOptions {
  /** Most tags on one page, whatever `n` says. Default: no limit. */
  readonly pageSize?: number;
  /** How `Link` names the next page; default relative. */
  readonly link?: 'relative' | 'absolute';
  /** The referrers API: `off` is 404; `redirect` is a 303 to a page for people. Default on. */
  readonly referrers?: 'on' | 'off' | 'redirect';
  /** Filters referrers by `artifactType` and says so; default true. */
  readonly filters?: boolean;
  /** `tags: null` where there are none. */
  readonly nullTags?: boolean;
}

type Answer = NonNullable<Plan['status']>;

export function listTags(content: Content, request: RecordedRequest, options: ListOptions, ownUrl: string): Answer {
  const repository = content.repository(request.repository);
  if (repository === undefined) return notFound('NAME_UNKNOWN', 'repository name not known to registry');
  const query = new URLSearchParams(request.url.split('?')[1]);
  const asked = query.get('n');
  if (asked !== null && !/^\d+$/.test(asked)) {
    return { code: 400, headers: json, body: errorBody('PAGINATION_NUMBER_INVALID', 'invalid number of results requested') };
  }
  const last = query.get('last');
  const rest = [...repository.tags.keys()].toSorted().filter((tag) => last === null || tag > last);
  const size = Math.min(asked === null ? Infinity : Number(asked), options.pageSize ?? Infinity);
  const page = rest.slice(0, size);
  const more = page.length < rest.length && page.length > 0;
  const next = `/v2/${request.repository}/tags/list?last=${page.at(-1)}&n=${size}`;
  const link = more ? { link: `<${options.link === 'absolute' ? ownUrl : ''}${next}>; rel="next"` } : {};
  const tags = page.length === 0 && options.nullTags ? null : page;
  return { code: 200, headers: { ...json, ...link }, body: JSON.stringify({ name: request.repository, tags }) };
}

export function listReferrers(content: Content, request: RecordedRequest, options: ListOptions): Answer {
  if (options.referrers === 'off') return notFound('UNSUPPORTED', 'page not found');
  if (options.referrers === 'redirect') return { code: 303, headers: { location: 'http://127.0.0.1:9/web' }, body: '' };
  const all = content.repository(request.repository)?.referrers.get(request.reference) ?? [];
  const type = new URLSearchParams(request.url.split('?')[1]).get('artifactType');
  const filtered = type !== null && (options.filters ?? true);
  const manifests = filtered ? all.filter((descriptor) => descriptor['artifactType'] === type) : all;
  const headers = { 'content-type': MEDIA_TYPE.ociIndex, ...(filtered ? { 'oci-filters-applied': 'artifactType' } : {}) };
  return { code: 200, headers, body: JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests }) };
}

export function notFound(code: string, message: string): Answer {
  return { code: 404, headers: json, body: errorBody(code, message) };
}

const json = { 'content-type': 'application/json' };
