import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { contentRange, ifNoneMatchMatches, ifRangeMatches, parseRange, type RangeAnswer } from '../oci/range.ts';
import { cacheStatus, warning, type Source } from './cache-status.ts';
import { etagOf, type Content } from './content.ts';
import type { Reply, ReplyPart } from './reply.ts';

/** What of the client's request shapes the answer, but not what is answered with. */
export interface Conditions {
  readonly method: 'GET' | 'HEAD';
  readonly range?: string | undefined;
  readonly ifRange?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

/** Manifests have no ranges: they are small, and verified whole before their first byte leaves. */
export function respondManifest(
  manifest: {
    readonly digest: Digest;
    readonly mediaType: string;
    readonly size: number;
    readonly bytes: Uint8Array | undefined;
  },
  source: Source,
  conditions: Conditions,
): Reply {
  const headers = { ...common(manifest.digest, source), 'content-type': manifest.mediaType };
  if (isNotModified(conditions, manifest.digest)) return { status: 304, headers, body: { kind: 'none' } };
  const whole = { ...headers, 'content-length': String(manifest.size) };
  if (conditions.method === 'HEAD' || manifest.bytes === undefined)
    return { status: 200, headers: whole, body: { kind: 'none' } };
  return { status: 200, headers: whole, body: { kind: 'bytes', bytes: manifest.bytes } };
}

/** OCI distribution-spec, "Pulling blobs"; ranges by RFC 9110 14. HEAD never opens bytes. */
export function respondBlob(content: Content, source: Source, conditions: Conditions): Reply {
  const headers = { ...common(content.digest, source), 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes' };
  if (isNotModified(conditions, content.digest)) return { status: 304, headers, body: { kind: 'none' } };
  const { size } = content;
  const length = size === undefined ? {} : { 'content-length': String(size) };
  if (conditions.method === 'HEAD') return { status: 200, headers: { ...headers, ...length }, body: { kind: 'none' } };
  const range: RangeAnswer = size === undefined ? { kind: 'whole' } : rangeOf(conditions, content, size);
  switch (range.kind) {
    case 'whole':
      return { status: 200, headers: { ...headers, ...length }, body: { kind: 'content', content, from: 0, to: undefined } };
    case 'one':
      return one(content, headers, range.from, range.to, size ?? 0);
    case 'many':
      return many(content, headers, range.ranges, size ?? 0);
    case 'unsatisfiable':
      throw new RegistryError('RANGE_INVALID', `the range lies outside the ${size} bytes of ${content.digest}`, {
        headers: { ...common(content.digest, source), 'content-range': `bytes */${size}` },
      });
  }
}

/** The headers of a whole blob. */
export function blobHeaders(digest: Digest, size: number, source: Source): Record<string, string> {
  return {
    ...common(digest, source),
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    'content-length': String(size),
  };
}

function common(digest: Digest, source: Source): Record<string, string> {
  const text = warning(source);
  return {
    'docker-content-digest': digest,
    etag: etagOf(digest),
    'cache-status': cacheStatus(source),
    ...(text === undefined ? {} : { warning: text }),
  };
}

/** RFC 9110 13.1.2. Nobody who did not ask gets a 304: containerd 1.6 ends its pull on one. */
function isNotModified({ ifNoneMatch }: Conditions, digest: Digest): boolean {
  return ifNoneMatch !== undefined && ifNoneMatchMatches(ifNoneMatch, etagOf(digest));
}

/** RFC 9110 13.1.5: a validator that does not match makes the range void. */
function rangeOf({ range, ifRange }: Conditions, content: Content, size: number): RangeAnswer {
  if (range === undefined || (ifRange !== undefined && !ifRangeMatches(ifRange, content.etag))) return { kind: 'whole' };
  return parseRange(range, size);
}

function one(content: Content, headers: Record<string, string>, from: number, to: number, size: number): Reply {
  return {
    status: 206,
    headers: { ...headers, 'content-range': contentRange(from, to, size), 'content-length': String(to - from) },
    body: { kind: 'content', content, from, to },
  };
}

/** Fits what containers/image accepts of a boundary (protocol.md 3.6), and no blob can be known to hold it by chance. */
function boundaryOf(digest: Digest): string {
  return digest.slice(-32);
}

function many(
  content: Content,
  headers: Record<string, string>,
  ranges: readonly { from: number; to: number }[],
  size: number,
): Reply {
  const boundary = boundaryOf(content.digest);
  const encoder = new TextEncoder();
  const parts: ReplyPart[] = ranges.map(({ from, to }, index) => ({
    from,
    to,
    head: encoder.encode(
      `${index === 0 ? '' : '\r\n'}--${boundary}\r\ncontent-type: application/octet-stream\r\ncontent-range: ${contentRange(from, to, size)}\r\n\r\n`,
    ),
  }));
  const tail = encoder.encode(`\r\n--${boundary}--\r\n`);
  const length = parts.reduce((sum, part) => sum + part.head.byteLength + part.to - part.from, tail.byteLength);
  return {
    status: 206,
    headers: { ...headers, 'content-type': `multipart/byteranges; boundary=${boundary}`, 'content-length': String(length) },
    body: { kind: 'parts', content, parts, tail },
  };
}
