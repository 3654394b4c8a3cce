import ipaddr from 'ipaddr.js';

/**
 * Which addresses may be dialled. A name is resolved once, every address of it is judged, and the connection goes to those
 * very addresses, so that a name cannot be public when it is looked at and private when it is dialled.
 */
export interface Guard {
  /**
   * The addresses to dial for `hostname` (no brackets). Throws {@link RefusedAddress} when one of them may not be dialled,
   * and what the resolver threw when there are none.
   */
  resolve(hostname: string): Promise<readonly Address[]>;
  /** The same for a hop whose name the proxy resolves: only what the name itself shows can be judged. */
  judgeName(hostname: string): void;
}

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

export type Resolve = (hostname: string) => Promise<readonly Address[]>;

export interface GuardOptions {
  /** True where this host may be at any address. Asked each time. */
  readonly trusts: (hostname: string) => boolean;
  /** `names.allow`: hosts, addresses and CIDR blocks that may be dialled though they are private. */
  readonly allow: readonly string[];
  /** Names of this server itself: never dialled. */
  readonly never?: readonly string[];
  readonly resolve: Resolve;
  /** Told of every host that was resolved, and whether all of its addresses are private. */
  readonly seen?: (hostname: string, isPrivate: boolean) => void;
}

export class RefusedAddress extends Error {
  override readonly name = 'RefusedAddress';
}

export function createGuard(options: GuardOptions): Guard {
  const allowed = readAllowList(options.allow);
  const refuseOwnNames = (hostname: string): void => {
    if (options.never?.includes(hostname)) throw new RefusedAddress(`${hostname} is this server itself (names.self)`);
  };
  const judge = (hostname: string, address: string): void => {
    if (isPublicAddress(address) || options.trusts(hostname) || allowed(hostname, address)) return;
    throw new RefusedAddress(`${hostname} is at the private address ${address}; list it under names.allow if it may be asked`);
  };
  return {
    async resolve(rawHostname) {
      const hostname = normalHost(rawHostname);
      refuseOwnNames(hostname);
      const addresses = ipaddr.isValid(hostname) ? [literal(hostname)] : await options.resolve(hostname);
      if (addresses.length === 0) throw Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' });
      options.seen?.(
        hostname,
        addresses.every(({ address }) => !isPublicAddress(address)),
      );
      for (const { address } of addresses) judge(hostname, address);
      return addresses;
    },
    judgeName(rawHostname) {
      const hostname = normalHost(rawHostname);
      refuseOwnNames(hostname);
      if (ipaddr.isValid(hostname)) judge(hostname, hostname);
      else if (isLoopbackName(hostname)) judge(hostname, '127.0.0.1');
    },
  };
}

/**
 * True for global unicast only. A v4-mapped address is judged as the IPv4 address in it; the other IPv6 forms that carry one
 * (v4-compatible, NAT64, 6to4, Teredo) are refused with all special ranges: what they lead to cannot be seen from here.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed.kind() === 'ipv4' || GLOBAL_V6.some((block) => parsed.match(block));
}

/** IANA hands out global unicast addresses from 2000::/3 alone. */
const GLOBAL_V6 = [ipaddr.parseCIDR('2000::/3')];

/** What is known of where an upstream itself is. */
export interface OwnPlace {
  isPrivate(): boolean;
  /** As {@link GuardOptions.seen}. */
  readonly seen: (hostname: string, isPrivate: boolean) => void;
}

/**
 * A private upstream may lead to private addresses, so the owner of a public one must not make it private: one that was ever
 * seen at a public address stays public, whatever its name is said to resolve to later, or besides (DNS rebinding, S06).
 */
export function ownPlaceOf(own: string): OwnPlace {
  const isAddress = ipaddr.isValid(own);
  let place: 'unknown' | 'private' | 'public' = 'unknown';
  if (isLoopbackName(own) || (isAddress && !isPublicAddress(own))) place = 'private';
  return {
    isPrivate: () => place === 'private',
    seen(hostname, isPrivate) {
      if (hostname !== own || place === 'public') return;
      place = isPrivate ? 'private' : 'public';
    },
  };
}

/** A host name as compared: lower case, without brackets and without the root's dot. */
export function normalHost(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
}

/** The host of a listed `host` or `host:port`, as compared. */
export function listedHost(entry: string): string {
  return normalHost(/^(\[[^\]]+\]|[^:]+):\d+$/.exec(entry)?.[1] ?? entry);
}

/** RFC 6761 6.3: `localhost` and names under it are loopback whatever a resolver says. */
export function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost');
}

function literal(address: string): Address {
  const parsed = ipaddr.parse(address);
  return { address: parsed.toString(), family: parsed.kind() === 'ipv6' ? 6 : 4 };
}

function readAllowList(entries: readonly string[]): (hostname: string, address: string) => boolean {
  const hosts = new Set(entries.map((entry) => listedHost(entry)));
  const blocks = entries.filter((entry) => ipaddr.isValidCIDR(entry)).map((entry) => ipaddr.parseCIDR(entry));
  return (hostname, address) => {
    if (hosts.has(hostname) || hosts.has(address)) return true;
    const parsed = ipaddr.process(address);
    return blocks.some((block) => block[0].kind() === parsed.kind() && parsed.match(block));
  };
}
