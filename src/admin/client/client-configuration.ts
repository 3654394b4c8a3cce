import { buildkitConfiguration } from './buildkit.ts';
import { containerdConfiguration } from './containerd.ts';
import { crioConfiguration, podmanConfiguration } from './containers-image.ts';
import { dockerConfiguration } from './docker.ts';
import { k3sConfiguration } from './k3s.ts';
import type { ClientConfiguration, ClientOptions } from './configuration.ts';
import { readMirror, type Mirror } from './mirror.ts';

export const CONFIGURABLE_CLIENTS = ['docker', 'containerd', 'podman', 'buildkit', 'k3s', 'crio'] as const;

export type ConfigurableClient = (typeof CONFIGURABLE_CLIENTS)[number];

const MAKERS: Readonly<Record<ConfigurableClient, (mirror: Mirror) => ClientConfiguration>> = {
  docker: dockerConfiguration,
  containerd: containerdConfiguration,
  podman: podmanConfiguration,
  buildkit: buildkitConfiguration,
  k3s: k3sConfiguration,
  crio: crioConfiguration,
};

/** Throws {@link ClientConfigurationError} for an address that no client takes, or an `only` that this client cannot keep. */
export function clientConfiguration(kind: ConfigurableClient, options: ClientOptions): ClientConfiguration {
  return MAKERS[kind](readMirror(options));
}

export function isConfigurableClient(text: string): text is ConfigurableClient {
  return (CONFIGURABLE_CLIENTS as readonly string[]).includes(text);
}

/** What `GET /client/KIND` answers; `undefined` for a kind that there is none of. Throws as {@link clientConfiguration}. */
export function clientText(kind: string, url: string, registries: readonly string[]): string | undefined {
  if (!isConfigurableClient(kind)) return undefined;
  return printClientConfiguration(clientConfiguration(kind, { url, registries, only: false }));
}

/** The configuration as one text for a person: each file under its path, then how to reload it and what to try. */
export function printClientConfiguration(configuration: ClientConfiguration): string {
  const files = configuration.files.map(({ path, text }) => `# ${path}\n${text}`);
  const notes = configuration.notes.map((note) => `# note:   ${note}\n`).join('');
  return `${files.join('\n')}\n${notes}# reload: ${configuration.reload}\n# try:    ${configuration.try}\n`;
}
