import type { Digest } from '../oci/digest.ts';
import type { PushName, PushReply } from './request.ts';

/** Where an upload goes on (OCI distribution-spec, "Pushing blobs"): a path, which clients resolve themselves. */
export function uploadLocation(name: PushName, session: string): string {
  return withNamespace(name, `${name.base}/blobs/uploads/${session}`);
}

export function uploadHeaders(name: PushName, session: string, offset: number): Record<string, string> {
  return { location: uploadLocation(name, session), range: uploadedRange(offset), 'docker-upload-uuid': session };
}

/** Inclusive at both ends, so that nothing looks like one byte; the official registry says the same. */
function uploadedRange(offset: number): string {
  return `0-${Math.max(0, offset - 1)}`;
}

/** 201 for content that can be pulled from now on. */
export function created(
  name: PushName,
  kind: 'blobs' | 'manifests',
  digest: Digest,
  more: Record<string, string> = {},
): PushReply {
  return empty(201, {
    location: withNamespace(name, `${name.base}/${kind}/${digest}`),
    'docker-content-digest': digest,
    ...more,
  });
}

/** RFC 9110 8.6: a 204 has no Content-Length. */
export function empty(status: number, headers: Record<string, string>): PushReply {
  return { status, headers: status === 204 ? headers : { 'content-length': '0', ...headers }, body: { kind: 'none' } };
}

function withNamespace({ ns }: PushName, path: string): string {
  return ns === undefined ? path : `${path}?ns=${encodeURIComponent(ns)}`;
}
