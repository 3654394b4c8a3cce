import type { CredentialConfig, UpstreamConfig } from './config.ts';
import type { Written } from './schema.ts';
import { settleAccount } from './settle-account.ts';
import type { Settling } from './settling.ts';

/** Names that chains use for what is built in. */
const BUILT_IN = new Set(['origin', 'hosted']);

export async function settleUpstreams(written: Written['upstreams'], work: Settling): Promise<Map<string, UnguardedUpstream>> {
  const upstreams = new Map<string, UnguardedUpstream>();
  for (const [name, upstream] of written) {
    const path = ['upstreams', name];
    if (BUILT_IN.has(name)) work.fault(path, `expected another name: ${name} is built in`);
    if (upstream.url.endsWith('/v2'))
      work.fault([...path, 'url'], 'expected the address without /v2', upstream.url.slice(0, -3));
    upstreams.set(name, await settleUpstream(name, upstream, work));
  }
  return upstreams;
}

/** Before it is known which rules stand before its routes. */
export type UnguardedUpstream = Omit<UpstreamConfig, 'use'> & { readonly use: UpstreamConfig['use'] | undefined };

type WrittenUpstream = Written['upstreams'] extends Map<string, infer Value> ? Value : never;

export async function settleUpstream(name: string, written: WrittenUpstream, work: Settling): Promise<UnguardedUpstream> {
  const path = ['upstreams', name];
  return {
    name,
    url: written.url,
    path: written.path ?? '',
    account: await settleAccount(written, registryAt(written.url), path, work),
    // Of what is written; whether it may be, the routes say (settle-use.ts).
    use: written.use,
    headers: written.headers,
    tls: await work.tls(written.tls, [...path, 'tls']),
    timeout: written.timeout,
    concurrency: written.concurrency,
    rate: written.rate,
    bandwidth: written.bandwidth,
    check: written.check,
    weight: written.weight,
    tokenhosts: written.tokenhosts,
    redirecthosts: written.redirecthosts,
    ns: written.ns,
    proxy: written.proxy,
  };
}

/** Accounts for `origin`, the longest prefix first. */
export async function settleCredentials(written: Written['credentials'], work: Settling): Promise<CredentialConfig[]> {
  const credentials: CredentialConfig[] = [];
  for (const [prefix, credential] of written) {
    const path = ['credentials', prefix];
    const before = work.faults.length;
    const account = await settleAccount(credential, prefix, path, work);
    if (account !== undefined) credentials.push({ prefix, account });
    else if (work.faults.length === before)
      work.fault(path, 'expected username and password, token, config, helper, ecr, gcp or acr');
  }
  return credentials.toSorted((left, right) => right.prefix.length - left.prefix.length);
}

/** What an account at this address is called in a docker config.json. */
function registryAt(url: string): string {
  const { host } = new URL(url);
  return HUB_HOSTS.has(host) ? 'docker.io' : host;
}

const HUB_HOSTS = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);
