import ipaddr from 'ipaddr.js';
import { getDomain } from 'tldts';

import { isLoopbackName, normalHost } from './guard.ts';
import { parseUrl } from '../oci/url.ts';

/**
 * What may be sent to the realm of a challenge, which is whatever the upstream chose to write there (S01):
 * `credentials` to the upstream's own token hosts; `anonymous` to another one, since nothing of ours goes there but the
 * name that was asked for; `refused` with the reason to none else.
 */
export type RealmVerdict = { readonly kind: 'credentials' | 'anonymous' } | { readonly kind: 'refused'; readonly why: string };

/**
 * The realm may see credentials when it is at the upstream's own scheme, host and port, or over https at a host of the same
 * registrable domain (public suffix list), or listed. An https upstream never has an http realm. IP literals and
 * `localhost` have no domain: they must be the same.
 */
export function judgeRealm(realm: string, upstream: URL, tokenHosts: readonly string[]): RealmVerdict {
  const url = parseUrl(realm);
  if (url === undefined || !/^https?:$/.test(url.protocol))
    return { kind: 'refused', why: 'its token realm is no http address' };
  if (url.username !== '' || url.password !== '') return { kind: 'refused', why: 'its token realm carries a user name' };
  if (upstream.protocol === 'https:' && url.protocol !== 'https:')
    return { kind: 'refused', why: 'its token realm is not https' };
  if (url.origin === upstream.origin || isListed(url, tokenHosts)) return { kind: 'credentials' };
  if (url.protocol === 'https:' && sameDomain(url.hostname, upstream.hostname)) return { kind: 'credentials' };
  return { kind: 'anonymous' };
}

/** An entry is a host, or a host with a port. */
function isListed(url: URL, hosts: readonly string[]): boolean {
  return hosts.some((host) => host.toLowerCase() === url.host || normalHost(host) === normalHost(url.hostname));
}

function sameDomain(left: string, right: string): boolean {
  const [a, b] = [normalHost(left), normalHost(right)];
  // A name with an empty label is nobody's, though the list of suffixes overlooks it.
  if ([a, b].some((host) => ipaddr.isValid(host) || isLoopbackName(host) || host.split('.').includes(''))) return false;
  const domain = getDomain(a, { allowPrivateDomains: true });
  return domain !== null && domain === getDomain(b, { allowPrivateDomains: true });
}
