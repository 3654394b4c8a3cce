import { parseRegistry } from '../oci/registry.ts';
import type { RouteConfig } from './config.ts';
import type { Written } from './schema.ts';
import { upstream } from './schema/upstreams.ts';
import { settleAccount } from './settle-account.ts';
import { policyOf } from './settle-routes.ts';
import { settleUpstream, type UnguardedUpstream } from './settle-upstreams.ts';
import type { Settling } from './settling.ts';
import { placeAt } from './tree-path.ts';

/** Docker Hub by any of its hosts: its images are called docker.io's. */
const HUB_HOSTS = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']);

export interface ProxyMode {
  readonly registry: string;
  readonly upstream: UnguardedUpstream;
  readonly route: RouteConfig;
}

/**
 * The official registry's mirror mode: one upstream and one route, for the registry that `proxy.remoteurl` names
 * (contract, *Modes of the official registry*). `undefined` where it is not written.
 */
export async function proxyOf(written: Written, work: Settling): Promise<ProxyMode | undefined> {
  const { proxy } = written;
  if (proxy === undefined) return undefined;
  const account = await settleAccount(proxy, '', ['proxy'], work);
  if (proxy.remoteurl === undefined) return checkAlone(written, work);
  checkAlone(written, work);
  const registry = registryOf(proxy.remoteurl);
  if (registry === undefined) return work.fault(['proxy', 'remoteurl'], 'expected the URL of a registry');
  const at = placeAt(work.tree, ['proxy']);
  return {
    registry,
    upstream: { ...(await settleUpstream(registry, upstream.parse({ url: addressOf(proxy.remoteurl) }), work)), account },
    route: {
      name: registry,
      match: [`${registry}/**`],
      upstreams: [registry],
      deny: false,
      push: false,
      shadow: false,
      passthrough: false,
      policy: policyOf({ maxage: proxy.ttl }, written.defaults),
      at: at.line === 0 ? (at.variable ?? at.file) : `${at.file}:${at.line}`,
    },
  };
}

/** Without a remote, `proxy` means nothing, as in the official registry: then only its other keys are odd. */
function checkAlone(written: Written, work: Settling): undefined {
  if (written.proxy?.remoteurl === undefined) {
    if (written.routes !== undefined || Object.keys(written.proxy ?? {}).length > 0)
      work.fault(['proxy', 'remoteurl'], 'is missing: expected the URL of the registry to mirror');
    return undefined;
  }
  const remedy = 'expected either this or proxy, which is one route by itself: write its remoteurl as an upstream instead';
  if (written.routes !== undefined) work.fault(['routes'], remedy);
  if (written.upstreams.size > 0) work.fault(['upstreams'], remedy);
  if (written.credentials.size > 0)
    work.fault(['credentials'], 'expected proxy.username and proxy.passwordfile instead: proxy has no other account');
  if (written.names.default !== undefined)
    work.fault(['names', 'default'], 'expected no other default than the registry that proxy names');
  return undefined;
}

function registryOf(url: string): string | undefined {
  const { host } = new URL(url);
  return HUB_HOSTS.has(host) ? 'docker.io' : parseRegistry(host);
}

/** docker.io and index.docker.io do not speak the protocol themselves. */
function addressOf(url: string): string {
  return HUB_HOSTS.has(new URL(url).host) ? 'https://registry-1.docker.io' : url.replace(/\/v2$/, '');
}
