/** The public registries that `match: well-known` stands for, as patterns over registry/repository. */
export const WELL_KNOWN: readonly string[] = [
  'docker.io/**',
  'ghcr.io/**',
  'quay.io/**',
  'gcr.io/**',
  '*.gcr.io/**',
  '*.pkg.dev/**',
  'registry.k8s.io/**',
  'k8s.gcr.io/**',
  'public.ecr.aws/**',
  'mcr.microsoft.com/**',
  'nvcr.io/**',
  'registry.gitlab.com/**',
  'registry.access.redhat.com/**',
  'registry.redhat.io/**',
  'registry.suse.com/**',
  'registry.opensuse.org/**',
  'registry.fedoraproject.org/**',
  'docker.elastic.co/**',
  'container-registry.oracle.com/**',
  'cgr.dev/**',
  'lscr.io/**',
  'codeberg.org/**',
  'xpkg.upbound.io/**',
];

/** Registries of that list that are named one by one: the values that a `registry` label may have beside configured ones. */
export const WELL_KNOWN_REGISTRIES: readonly string[] = WELL_KNOWN.map((pattern) => pattern.slice(0, -'/**'.length)).filter(
  (registry) => !registry.includes('*'),
);

/** Where a registry's API is. Docker Hub alone lives elsewhere than its name says. */
export function registryEndpoint(registry: string): string {
  return `https://${registry === 'docker.io' ? 'registry-1.docker.io' : registry}`;
}
