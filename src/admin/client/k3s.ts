import type { ClientConfiguration, ClientFile } from './configuration.ts';
import { exampleImage, type Mirror } from './mirror.ts';

/**
 * `registries.yaml` of k3s and RKE2. An endpoint without a path gets `/v2`; one with a path is used verbatim, so that
 * `/v2` must be written out (protocol.md 3.4).
 */
export function k3sConfiguration(mirror: Mirror): ClientConfiguration {
  const endpoint = mirror.path === '' ? mirror.url : `${mirror.url}/v2`;
  const lines = mirror.registries.flatMap((registry) => [`  "${registry}":`, '    endpoint:', `      - "${endpoint}"`]);
  const registries = { path: '/etc/rancher/k3s/registries.yaml', text: `${['mirrors:', ...lines].join('\n')}\n` };
  return {
    files: mirror.only ? [registries, ONLY_FILE] : [registries],
    reload: 'systemctl restart k3s (on agents: k3s-agent)',
    try: `k3s crictl pull ${exampleImage(mirror.registries)}`,
    notes: [
      'for RKE2 the directory is /etc/rancher/rke2 and the service rke2-server or rke2-agent',
      ...(mirror.only ? ['disable-default-registry-endpoint exists since 1.26.13, 1.27.10, 1.28.6 and 1.29.1'] : []),
    ],
  };
}

/** k3s keeps its flags here; files of this directory are read in addition to config.yaml. */
const ONLY_FILE: ClientFile = {
  path: '/etc/rancher/k3s/config.yaml.d/50-entrepot.yaml',
  text: 'disable-default-registry-endpoint: true\n',
};
