import {
  clientConfiguration,
  CONFIGURABLE_CLIENTS,
  isConfigurableClient,
  printClientConfiguration,
} from '../admin/client/client-configuration.ts';
import { routedRegistries } from '../admin/client/registries.ts';
import type { Config } from '../config/config.ts';
import { HOSTED } from '../metadata/records.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { CommandFault } from './fault.ts';
import { readConfig } from './settings.ts';
import { printJson } from './table.ts';

export interface ClientFlags {
  readonly url?: string;
  readonly only?: boolean;
  readonly config?: string;
  readonly json?: boolean;
}

/** Prints a client's own configuration for this mirror. Nothing is asked: the same text for the same configuration. */
export async function client(context: CommandContext, kind: string, flags: ClientFlags): Promise<ExitCode> {
  if (!isConfigurableClient(kind)) {
    throw new CommandFault(`"${kind}" is no client that is known here: use one of ${CONFIGURABLE_CLIENTS.join(', ')}`, 2);
  }
  const config = await readConfig(context, flags.config);
  const registries = clientRegistries(config);
  const made = clientConfiguration(kind, { url: flags.url ?? publicUrl(config), registries, only: flags.only === true });
  context.terminal.out(flags.json === true ? printJson(made, 2) : printClientConfiguration(made));
  return 0;
}

/**
 * Those that routes name; where no route names one, what a name without a registry means. None where everything is hosted
 * here: clients then ask this server by its own name.
 */
export function clientRegistries(config: Config): readonly string[] {
  const mirrored = config.routes.filter(({ upstreams }) => upstreams.length !== 1 || upstreams[0] !== HOSTED);
  if (mirrored.every(({ deny }) => deny)) return [];
  const routed = routedRegistries(mirrored);
  return routed.length > 0 ? routed : [config.names.default];
}

/** `http.host`, else the address that is listened on, else the port on this machine. */
export function publicUrl(config: Config): string {
  const { host, addr } = config.http;
  if (host !== undefined) return `${host}${config.http.prefix}`;
  const name = addr.host === undefined || addr.host === '0.0.0.0' || addr.host === '::' ? 'localhost' : addr.host;
  const scheme = config.http.tls === undefined ? 'http' : 'https';
  return `${scheme}://${name.includes(':') ? `[${name}]` : name}:${addr.port}${config.http.prefix}`;
}
