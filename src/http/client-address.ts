import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';

/** What the proxies before us say of a request, as far as they are believed. */
export interface ClientAddresses {
  /** The client's address: the first from the right that no trusted proxy has. */
  clientOf(incoming: Pick<IncomingMessage, 'socket' | 'rawHeaders'>): string;
  /** Whether what this peer says of its client is believed. Peers on a unix socket are: the file's mode lets them in. */
  trusts(peer: string | undefined): boolean;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * `trusted`: addresses and CIDR ranges of `http.trustedproxies`. Throws Error naming the entry that is neither.
 *
 * Walks X-Forwarded-For from right to left over all its lines, and stops at the first hop that is not trusted: what
 * stands left of it anybody may have written (S30). Addresses are compared parsed, since one has many spellings.
 */
export function createClientAddresses(trusted: readonly string[]): ClientAddresses {
  const ranges = trusted.map(parseRange);
  const isTrusted = (address: Address): boolean =>
    ranges.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
  const trusts = (peer: string | undefined): boolean => {
    if (peer === undefined) return true;
    const address = parseAddress(peer);
    return address !== undefined && isTrusted(address);
  };

  return {
    trusts,
    clientOf(incoming) {
      const peer = incoming.socket.remoteAddress;
      let client = peer === undefined ? undefined : parseAddress(peer);
      if (!trusts(peer)) return client?.toString() ?? 'unknown';
      for (const hop of forwardedFor(incoming).toReversed()) {
        const address = parseAddress(hop);
        // Somebody wrote what is no address: the last hop that was vouched for is all that is known.
        if (address === undefined) break;
        client = address;
        if (!isTrusted(address)) break;
      }
      return client?.toString() ?? 'unix';
    },
  };
}

function parseRange(text: string): [Address, number] {
  const [, bare = '', digits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseBare(bare);
  const width = address?.kind() === 'ipv4' ? 32 : 128;
  const bits = digits === undefined ? width : Number(digits);
  if (address === undefined || bits > width) {
    throw new Error(`trustedproxies: "${text}" is neither an address nor a range of addresses`);
  }
  const folded = fold(address);
  return folded === address ? [address, bits] : [folded, Math.max(0, bits - 96)];
}

/** An address with or without a port, v4-mapped ones folded. Odd spellings of IPv4 (octal, one number) are none. */
export function parseAddress(text: string): Address | undefined {
  const address = parseBare(/^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text);
  return address && fold(address);
}

function parseBare(text: string): Address | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  return text.includes(':') && ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined;
}

function fold(address: Address): Address {
  return 'isIPv4MappedAddress' in address && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/** All its field lines in order. Not from `headersDistinct`, which a field named `__proto__` broke (CVE-2026-21710). */
function forwardedFor(incoming: Pick<IncomingMessage, 'rawHeaders'>): string[] {
  const { rawHeaders } = incoming;
  const hops: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() !== 'x-forwarded-for') continue;
    for (const hop of (rawHeaders[index + 1] ?? '').split(',')) hops.push(hop.trim());
  }
  return hops;
}
