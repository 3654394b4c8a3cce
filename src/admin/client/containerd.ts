import type { ClientConfiguration, ClientFile } from './configuration.ts';
import { exampleImage, isLoopback, type Mirror } from './mirror.ts';

const DIRECTORY = '/etc/containerd/certs.d';

/**
 * One `hosts.toml` a registry (containerd 1.5 and later). containerd sends `?ns=`, so the mirror's root serves all of
 * them. After the hosts it asks `server`, by default the registry itself: naming the mirror there is what keeps it from
 * falling back. The host section stays then too, since 1.6 refuses a file without one.
 */
export function containerdConfiguration(mirror: Mirror): ClientConfiguration {
  const image = exampleImage(mirror.registries);
  return {
    files: mirror.registries.map((registry) => hostsFile(registry, mirror)),
    reload: 'not needed: these files are read at every pull',
    try: `ctr images pull --hosts-dir ${DIRECTORY} ${image}`,
    notes: [
      `Kubernetes (CRI) reads them when /etc/containerd/config.toml says so, once, followed by systemctl restart containerd: ` +
        `in containerd 2, [plugins."io.containerd.cri.v1.images".registry] config_path = "${DIRECTORY}"; ` +
        `in containerd 1, [plugins."io.containerd.grpc.v1.cri".registry] config_path = "${DIRECTORY}"`,
    ],
  };
}

function hostsFile(registry: string, mirror: Mirror): ClientFile {
  const server = mirror.only ? mirror.url : originOf(registry);
  const text = [`server = "${server}"`, '', `[host."${mirror.url}"]`, '  capabilities = ["pull", "resolve"]', ''];
  return { path: `${DIRECTORY}/${registry}/hosts.toml`, text: text.join('\n') };
}

/** Docker Hub's images are served under another name than theirs; a registry on this machine speaks http, as containerd assumes. */
function originOf(registry: string): string {
  if (registry === 'docker.io') return 'https://registry-1.docker.io';
  return `${isLoopback(registry.replace(/:\d+$/, '')) ? 'http' : 'https'}://${registry}`;
}
