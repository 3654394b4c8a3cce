import type { UpstreamRequest } from './upstream.ts';

/** Where an upstream's API is. */
export interface Address {
  /** The server, and what stands before `/v2/`, as `https://mirror.corp.test/oci`. */
  readonly url: URL;
  /**
   * What stands before every repository: Harbor's project, `hub-proxy`. A segment `{registry}` is replaced by the registry
   * that is asked for, so that one upstream serves them all.
   */
  readonly path: string;
  /** Sends `?ns=REGISTRY`, for an upstream that is itself a mirror. */
  readonly ns: boolean;
}

/** The repository as the upstream knows it. */
export function repositoryAt(
  address: Address,
  { registry, repository }: Pick<UpstreamRequest, 'registry' | 'repository'>,
): string {
  const path = address.path.replace(/^\/+|\/+$/g, '').replaceAll('{registry}', () => registry);
  return path === '' ? repository : `${path}/${repository}`;
}

/** OCI distribution-spec, "Endpoints": end-2, end-3, end-8a, end-12a. */
export function urlOf(address: Address, request: UpstreamRequest): URL {
  const url = new URL(address.url.origin);
  url.pathname = `${address.url.pathname.replace(/\/+$/, '')}/v2/${repositoryAt(address, request)}/${tailOf(request)}`;
  for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.append(name, value);
  if (address.ns) url.searchParams.set('ns', request.registry);
  return url;
}

function tailOf(request: UpstreamRequest): string {
  switch (request.kind) {
    case 'manifest':
      return `manifests/${request.reference}`;
    case 'blob':
      return `blobs/${request.reference}`;
    case 'referrers':
      return `referrers/${request.reference}`;
    case 'tags':
      return 'tags/list';
  }
}
