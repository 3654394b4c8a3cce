import { describe, expect, test } from 'vitest';

import { repositoryAt, urlOf } from '../../../src/upstream/address.ts';
import { layerDigest, wantBlob, wantManifest } from './servers.ts';

/** What is asked for, whom, and what that one is then asked: what parents of every kind want to see. */
const REWRITING: readonly (readonly [
  what: string,
  asked: readonly [registry: string, repository: string],
  at: { readonly url: string; readonly path?: string; readonly ns?: boolean },
  wanted: string,
])[] = [
  ['the registry itself', ['docker.io', 'library/ubuntu'], { url: 'https://hub.test' }, '/v2/library/ubuntu'],
  [
    "Harbor's proxy project",
    ['docker.io', 'library/ubuntu'],
    { url: 'https://harbor.test', path: 'hub-proxy' },
    '/v2/hub-proxy/library/ubuntu',
  ],
  [
    "Harbor's proxy project, another name",
    ['docker.io', 'acme/tool/x'],
    { url: 'https://harbor.test', path: 'hub-proxy' },
    '/v2/hub-proxy/acme/tool/x',
  ],
  [
    'Harbor with a project for each registry',
    ['ghcr.io', 'acme/tool'],
    { url: 'https://harbor.test', path: '{registry}' },
    '/v2/ghcr.io/acme/tool',
  ],
  [
    'another Entrepot by path',
    ['docker.io', 'library/ubuntu'],
    { url: 'https://mirror.test', path: '{registry}' },
    '/v2/docker.io/library/ubuntu',
  ],
  [
    'another Entrepot by path, a registry with a port',
    ['localhost:5001', 'a/b'],
    { url: 'https://mirror.test', path: '{registry}' },
    '/v2/localhost:5001/a/b',
  ],
  [
    'another Entrepot by ns',
    ['docker.io', 'library/ubuntu'],
    { url: 'https://mirror.test', ns: true },
    '/v2/library/ubuntu?ns=docker.io',
  ],
  ['Spegel by ns', ['quay.io', 'org/x'], { url: 'http://10.0.0.7:30020', ns: true }, '/v2/org/x?ns=quay.io'],
  [
    'Artifactory by its repository path',
    ['docker.io', 'library/ubuntu'],
    { url: 'https://art.test', path: 'docker-remote' },
    '/v2/docker-remote/library/ubuntu',
  ],
  [
    'Artifactory by its API',
    ['docker.io', 'library/ubuntu'],
    { url: 'https://art.test/artifactory/api/docker/docker-remote' },
    '/artifactory/api/docker/docker-remote/v2/library/ubuntu',
  ],
  [
    'Artifactory with a remote repository for each registry',
    ['quay.io', 'org/x'],
    { url: 'https://art.test', path: 'remote/{registry}/cache' },
    '/v2/remote/quay.io/cache/org/x',
  ],
  [
    'ECR pull-through',
    ['registry.k8s.io', 'pause'],
    { url: 'https://1.dkr.ecr.eu-west-1.amazonaws.com', path: 'kubernetes' },
    '/v2/kubernetes/pause',
  ],
  [
    'both ways at once',
    ['gcr.io', 'p/i'],
    { url: 'https://mirror.test/oci/', path: 'm/{registry}', ns: true },
    '/oci/v2/m/gcr.io/p/i?ns=gcr.io',
  ],
];

describe('what an upstream is asked', () => {
  test.each(REWRITING)('%s: %j', (_what, [registry, repository], { url, path = '', ns = false }, wanted) => {
    const address = { url: new URL(url), path, ns };
    const [base, query = ''] = wanted.split('?');
    const behind = query === '' ? '' : `?${query}`;
    const origin = new URL(url).origin;
    expect(urlOf(address, wantManifest({ registry, repository })).href).toBe(`${origin}${base}/manifests/3.20${behind}`);
    expect(urlOf(address, wantBlob({ registry, repository })).href).toBe(`${origin}${base}/blobs/${layerDigest}${behind}`);
    const tags = wantManifest({ kind: 'tags', registry, repository, reference: '', query: { n: '2' } });
    expect(urlOf(address, tags).href).toBe(`${origin}${base}/tags/list?n=2${behind.replace('?', '&')}`);
    // The scope of a token names the repository as the upstream knows it.
    expect(`/v2/${repositoryAt(address, { registry, repository })}`).toBe(base?.slice(base.indexOf('/v2/')));
  });
});
