import type { Socket } from 'node:net';
import { parseAddress } from './client-address.ts';

/** How many connections one address may have. */
export interface AddressCaps {
  /** False: one too many. Otherwise it is counted until the socket closes. */
  admit(socket: Socket): boolean;
}

/** Peers that `exempts` names are not counted: behind a proxy all clients have its address. */
export function createAddressCaps(connectionsMax: number, exempts: (peer: string | undefined) => boolean): AddressCaps {
  const counts = new Map<string, number>();
  return {
    admit(socket) {
      const peer = socket.remoteAddress;
      if (exempts(peer)) return true;
      const key = keyOf(peer);
      const count = counts.get(key) ?? 0;
      if (count >= connectionsMax) return false;
      counts.set(key, count + 1);
      socket.once('close', () => {
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
