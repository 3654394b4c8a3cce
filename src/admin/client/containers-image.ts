import type { ClientConfiguration } from './configuration.ts';
import { exampleImage, type Mirror } from './mirror.ts';

const FILE = '/etc/containers/registries.conf.d/50-entrepot.conf';

/** Podman, Buildah and Skopeo: `containers-registries.conf(5)`, version 2. */
export function podmanConfiguration(mirror: Mirror): ClientConfiguration {
  return {
    files: [{ path: FILE, text: registriesConf(mirror) }],
    reload: 'not needed: the file is read at every pull',
    try: `podman pull ${exampleImage(mirror.registries)}`,
    notes: ['the same file serves Buildah and Skopeo; without root it is ~/.config/containers/registries.conf'],
  };
}

/** CRI-O reads the same file. */
export function crioConfiguration(mirror: Mirror): ClientConfiguration {
  return {
    files: [{ path: FILE, text: registriesConf(mirror) }],
    reload: 'systemctl reload crio',
    try: `crictl pull ${exampleImage(mirror.registries)}`,
    notes: [],
  };
}

/**
 * The location replaces the prefix in what is asked for, and no `ns` is sent: so the registry's name is part of it. A
 * location of the registry itself that leads to the mirror leaves nothing to fall back to.
 */
function registriesConf(mirror: Mirror): string {
  return mirror.registries.map((registry) => registryTable(registry, mirror)).join('\n');
}

function registryTable(registry: string, mirror: Mirror): string {
  const location = `location = "${mirror.authority}${mirror.path}/${registry}"`;
  const insecure = mirror.http ? ['insecure = true'] : [];
  const head = ['[[registry]]', `prefix = "${registry}"`];
  const lines = mirror.only
    ? [...head, location, ...insecure]
    : [...head, `location = "${registry}"`, '', '[[registry.mirror]]', location, ...insecure];
  return `${lines.join('\n')}\n`;
}
