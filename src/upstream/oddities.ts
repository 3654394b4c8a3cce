import { MANIFEST_ACCEPT } from '../oci/media-types.ts';
import type { TransportResponse } from './transport.ts';
import type { UpstreamRequest } from './upstream.ts';

/**
 * What is asked for is always the same, whatever a client accepts: registries convert manifests, or deny that they have
 * them, when a type is missing (quay converts to schema 1, GHCR answers 404).
 */
export function acceptOf(kind: UpstreamRequest['kind']): string {
  switch (kind) {
    case 'manifest':
      return MANIFEST_ACCEPT;
    case 'referrers':
      return 'application/vnd.oci.image.index.v1+json';
    case 'tags':
      return 'application/json';
    case 'blob':
      return '*/*';
  }
}

/** A 404 to HEAD without any mark of a registry on it is the word of something before it (Harbor's proxy answers so). */
export function isOddAbsence(response: TransportResponse): boolean {
  const isJson = response.header('content-type')?.toLowerCase().includes('json') ?? false;
  return response.status === 404 && !isJson && response.header('docker-distribution-api-version') === undefined;
}

/** GHCR leads `/referrers/` to a web page: only another referrers list may take its place. */
export function isReferrersPath(target: URL): boolean {
  return /^\/v2\/.+\/referrers\/sha(256|512):[0-9a-f]+$/.test(decodeURIComponentOrEmpty(target.pathname));
}

function decodeURIComponentOrEmpty(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // Not an encoding at all: no path of a registry.
    return '';
  }
}
