import { isIPv6 } from 'node:net';

/**
 * Whom an address stands for: itself, or of IPv6 the /64 that one customer has to himself (RFC 6177), in which he can take as
 * many addresses as he likes. What is no address stands for itself.
 */
export function addressGroup(address: string): string {
  if (!isIPv6(address)) return address;
  const [zoneless = ''] = address.split('%');
  // As a URL's host it has one spelling.
  const [before = '', after] = new URL(`http://[${zoneless}]`).hostname.slice(1, -1).split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const groups = after === undefined ? head : [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  const mapped = groups.slice(0, 6).join(':') === '0:0:0:0:0:ffff';
  return mapped ? ipv4Of(groups.slice(6)) : `${groups.slice(0, 4).join(':')}::/64`;
}

function ipv4Of(groups: readonly string[]): string {
  return groups
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 255])
    .join('.');
}
