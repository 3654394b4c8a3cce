import { parseAddress } from './client-address.ts';

/** How many connections, or streams of HTTP/2, one address may have. */
export interface AddressCaps {
  /** False: one too many. Otherwise it is counted until it closes. */
  admit(one: Closing): boolean;
}

interface Closing {
  readonly remoteAddress?: string | undefined;
  once(event: 'close', listener: () => void): unknown;
}

/** Peers that `exempts` names are not counted: behind a proxy all clients have its address. */
export function createAddressCaps(connectionsMax: number, exempts: (peer: string | undefined) => boolean): AddressCaps {
  const counts = new Map<string, number>();
  return {
    admit(one) {
      const peer = one.remoteAddress;
      if (exempts(peer)) return true;
      const key = keyOf(peer);
      const count = counts.get(key) ?? 0;
      if (count >= connectionsMax) return false;
      counts.set(key, count + 1);
      one.once('close', () => {
        const left = (counts.get(key) ?? 1) - 1;
        if (left > 0) counts.set(key, left);
        else counts.delete(key);
      });
      return true;
    },
  };
}

/** An IPv6 client commands a whole /64: its addresses count as one. */
function keyOf(peer: string | undefined): string {
  const address = peer === undefined ? undefined : parseAddress(peer);
  if (address === undefined) return peer ?? '';
  return address.kind() === 'ipv4' ? address.toString() : address.toByteArray().slice(0, 8).join('.');
}
