/**
 * The public registries that `match: well-known` stands for, as patterns over `registry/repository` (contract, *Configuration*):
 * those that images of public documentation and charts name.
 */
export const WELL_KNOWN_PATTERNS: readonly string[] = [
  'docker.io/**',
  'ghcr.io/**',
  'quay.io/**',
  'gcr.io/**',
  '*.gcr.io/**',
  '*-docker.pkg.dev/**',
  'registry.k8s.io/**',
  'public.ecr.aws/**',
  'mcr.microsoft.com/**',
  'nvcr.io/**',
  'registry.gitlab.com/**',
  'registry.access.redhat.com/**',
  'registry.redhat.io/**',
  'registry.connect.redhat.com/**',
  'registry.fedoraproject.org/**',
  'registry.opensuse.org/**',
  'registry.suse.com/**',
  'container-registry.oracle.com/**',
  'docker.elastic.co/**',
  'cgr.dev/**',
  'lscr.io/**',
  'icr.io/**',
  'codeberg.org/**',
  'xpkg.upbound.io/**',
  'xpkg.crossplane.io/**',
];

/** Where a registry answers: Docker Hub's name is not its address; all others are at their own. */
export function registryEndpoint(registry: string): string {
  return registry === 'docker.io' ? 'https://registry-1.docker.io' : `https://${registry}`;
}
