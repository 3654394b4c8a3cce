import { ClientConfigurationError, type ClientConfiguration } from './configuration.ts';
import { exampleImage, type Mirror } from './mirror.ts';

/**
 * `buildkitd.toml`. A mirror is written without scheme, a path goes behind `/v2`, and `?ns=` is sent (protocol.md 3.5).
 * That it speaks http stands in a section of its own, of the mirror's host.
 */
export function buildkitConfiguration(mirror: Mirror): ClientConfiguration {
  if (mirror.only) {
    throw new ClientConfigurationError(
      `BuildKit always falls back to the registry itself: to build through the mirror alone, name it in the Dockerfile, ` +
        `FROM ${mirror.authority}/docker.io/library/alpine`,
    );
  }
  const sections = mirror.registries.map(
    (registry) => `[registry."${registry}"]\n  mirrors = ["${mirror.authority}${mirror.path}"]\n`,
  );
  if (mirror.http) sections.push(`[registry."${mirror.authority}"]\n  http = true\n`);
  return {
    files: [{ path: '/etc/buildkit/buildkitd.toml', text: sections.join('\n') }],
    reload: 'systemctl restart buildkit, or: docker buildx create --use --buildkitd-config /etc/buildkit/buildkitd.toml',
    try: `printf 'FROM ${exampleImage(mirror.registries)}\\n' | docker buildx build --no-cache --pull -`,
    notes: ['without root the file is ~/.config/buildkit/buildkitd.toml'],
  };
}
