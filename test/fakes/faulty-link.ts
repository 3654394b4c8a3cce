import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What the link does to the bytes that come back from the target; may be changed at any time, for what passes after. */
export interface LinkFaults {
  /** Each piece arrives so much later. */
  delayMs?: number;
  /** So many bytes at a time, `everyMs` apart. */
  drip?: { readonly bytes: number; readonly everyMs: number };
  /** Each connection ends after so many bytes: cleanly (FIN), or by a reset (RST). */
  cut?: { readonly after: number; readonly how: 'fin' | 'rst' };
  /** Takes connections and passes nothing on, either way. */
  blackHole?: boolean;
  /** Every byte is a packet of its own: no parser may count on more. */
  splitBytes?: boolean;
  /** This byte of the connection arrives twice. */
  duplicateAt?: number;
}

export interface FaultyLink {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly faults: LinkFaults;
  /** Connections so far. */
  accepted(): number;
  /** Bytes that came back from the target so far. */
  passed(): number;
  /** Breaks every connection that is open, and goes on listening. */
  breakAll(how?: 'fin' | 'rst'): void;
  close(): Promise<void>;
}

/** A TCP proxy to `127.0.0.1:port` that misbehaves as told. */
export async function createFaultyLink(port: number, initial: LinkFaults = {}): Promise<FaultyLink> {
  const faults: LinkFaults = { ...initial };
  const sockets = new Set<Socket>();
  let accepted = 0;
  let passed = 0;

  const server = createServer({ allowHalfOpen: true }, (near) => {
    accepted++;
    track(near);
    if (faults.blackHole) return void near.resume();
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    track(far);
    near.pipe(far);
    void passBack(far, near, faults, (count) => (passed += count)).catch(() => near.destroy());
    near.once('close', () => far.destroy());
  });

  function track(socket: Socket): void {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  }

  await listening(server);
  const own = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${own}`,
    port: own,
    faults,
    accepted: () => accepted,
    passed: () => passed,
    breakAll(how = 'rst') {
      for (const socket of sockets) end(socket, how);
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function passBack(far: Socket, near: Socket, faults: LinkFaults, count: (bytes: number) => void): Promise<void> {
  let at = 0;
  for await (const piece of far as AsyncIterable<Buffer>) {
    for (const part of partsOf(piece, at, faults)) {
      if (faults.blackHole) return;
      if (faults.delayMs !== undefined) await wait(faults.delayMs);
      const room = (faults.cut?.after ?? Infinity) - at;
      const allowed = part.subarray(0, room);
      await write(near, allowed);
      count(allowed.length);
      at += allowed.length;
      if (faults.cut !== undefined && at >= faults.cut.after) return end(near, faults.cut.how);
      if (faults.drip !== undefined) await wait(faults.drip.everyMs);
    }
  }
  near.end();
}

function* partsOf(piece: Buffer, at: number, faults: LinkFaults): Generator<Buffer> {
  const { duplicateAt } = faults;
  const twice = duplicateAt === undefined ? -1 : duplicateAt - at;
  const bytes =
    twice >= 0 && twice < piece.length ? Buffer.concat([piece.subarray(0, twice + 1), piece.subarray(twice)]) : piece;
  const size = faults.splitBytes ? 1 : (faults.drip?.bytes ?? bytes.length);
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
}

function end(socket: Socket, how: 'fin' | 'rst'): void {
  if (how === 'rst') socket.resetAndDestroy();
  else socket.destroy();
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
}
