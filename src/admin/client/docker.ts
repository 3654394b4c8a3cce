import { ClientConfigurationError, type ClientConfiguration } from './configuration.ts';
import type { Mirror } from './mirror.ts';

/**
 * `daemon.json`. Docker asks a mirror for Docker Hub's images alone, always falls back to Docker Hub, and before version 25
 * ends at once when a mirror's address has a path (protocol.md 3.1). Loopback is insecure by default there.
 */
export function dockerConfiguration(mirror: Mirror): ClientConfiguration {
  if (mirror.only) {
    throw new ClientConfigurationError(
      `Docker always falls back to Docker Hub: to pull through the mirror alone, name it in the image, ` +
        `docker pull ${mirror.authority}/docker.io/library/alpine`,
    );
  }
  if (mirror.path !== '') {
    throw new ClientConfigurationError(
      `Docker before 25 does not start with a path in a mirror's address: give one without "${mirror.path}"`,
    );
  }
  if (!mirror.registries.includes('docker.io')) {
    throw new ClientConfigurationError('Docker asks mirrors for docker.io alone, and no route serves docker.io: add one');
  }
  const settings = {
    'registry-mirrors': [mirror.url],
    ...(mirror.http && !mirror.loopback ? { 'insecure-registries': [mirror.authority] } : {}),
  };
  return {
    files: [{ path: '/etc/docker/daemon.json', text: `${JSON.stringify(settings, undefined, 2)}\n` }],
    reload: 'systemctl reload docker',
    try: 'docker pull alpine',
    notes: [
      'add these keys to what the file already holds',
      `Docker asks mirrors for docker.io alone; others are pulled as ${mirror.authority}/ghcr.io/OWNER/NAME`,
    ],
  };
}
