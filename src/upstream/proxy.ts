import ipaddr from 'ipaddr.js';

import { normalHost } from './guard.ts';

/** `'environment'`: HTTPS_PROXY, HTTP_PROXY and NO_PROXY; `'none'`: straight; else the proxy's URL, for everything. */
export type ProxySetting = 'none' | 'environment' | URL;

export type ProxyEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for a target, `undefined` to go straight. Read as curl and Go read the environment: lower case before upper
 * case; an upper-case HTTP_PROXY is left alone under CGI, where a client's `Proxy:` header would set it (httpoxy).
 */
export function proxyFor(setting: ProxySetting, env: ProxyEnvironment, target: URL): URL | undefined {
  if (setting === 'none') return undefined;
  if (setting !== 'environment') return setting;
  const text = target.protocol === 'https:' ? (env['https_proxy'] ?? env['HTTPS_PROXY']) : httpProxy(env);
  if (!text || goesStraight(env['no_proxy'] ?? env['NO_PROXY'] ?? '', target)) return undefined;
  return new URL(text.includes('://') ? text : `http://${text}`);
}

function httpProxy(env: ProxyEnvironment): string | undefined {
  return env['http_proxy'] ?? (env['REQUEST_METHOD'] === undefined ? env['HTTP_PROXY'] : undefined);
}

/** NO_PROXY: `*`, names (which cover the names under them), addresses, CIDR blocks; each but the block may carry a port. */
function goesStraight(list: string, target: URL): boolean {
  const hostname = normalHost(target.hostname);
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => covers(entry.toLowerCase(), hostname, port));
}

function covers(entry: string, hostname: string, port: string): boolean {
  if (entry === '*') return true;
  if (ipaddr.isValidCIDR(entry)) return inBlock(hostname, entry);
  const { name, onlyPort } = splitPort(entry);
  if (onlyPort !== undefined && onlyPort !== port) return false;
  const suffix = normalHost(name).replace(/^\*?\./, '');
  return hostname === suffix || hostname.endsWith(`.${suffix}`);
}

function splitPort(entry: string): { name: string; onlyPort: string | undefined } {
  const match = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry);
  return match ? { name: match[1] ?? '', onlyPort: match[2] } : { name: entry, onlyPort: undefined };
}

function inBlock(hostname: string, block: string): boolean {
  if (!ipaddr.isValid(hostname)) return false;
  const address = ipaddr.process(hostname);
  const range = ipaddr.parseCIDR(block);
  return address.kind() === range[0].kind() && address.match(range);
}

/** `Proxy-Authorization` for the user and password in the proxy's URL. */
export function proxyAuthorization(proxy: URL): string | undefined {
  if (proxy.username === '') return undefined;
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}
