import { spawn } from 'node:child_process';
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A server that is as good as dead, though its address is taken. */
export interface DeadListener {
  readonly url: string;
  /** How often this process has tried to ask it something so far: requests, or connections where none came about. */
  tries(): number;
  close(): Promise<void>;
}

/** Accepts, reads, and never answers. */
export async function createSilentListener(): Promise<DeadListener> {
  let asked = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
    socket.on('data', () => (asked += 1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    // undici keeps a connection ready after one that it broke off: who only dials waits for nothing.
    tries: () => asked,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Listens with a queue for one, which never sees anybody served. */
const NEVER_ACCEPTS = `
const server = require('node:net').createServer();
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  require('node:fs').writeSync(1, String(server.address().port));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;

/** Whose queue of connections is full: what is dialled now is neither accepted nor refused. */
export async function createFullListener(): Promise<DeadListener> {
  const child = spawn(process.execPath, ['-e', NEVER_ACCEPTS], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(text.toString());
  const queued: Socket[] = [];
  while (await isAccepted(port, queued));
  const counted = countDials(port);
  return {
    url: `http://127.0.0.1:${port}`,
    tries: counted.dials,
    async close() {
      counted.end();
      for (const socket of queued) socket.destroy();
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** On the loopback a connection that is not there in a moment is not going to be. */
function isAccepted(port: number, queued: Socket[]): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  queued.push(socket);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 300);
    socket.on('error', () => undefined);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

function countDials(port: number): { readonly dials: () => number; readonly end: () => void } {
  let dials = 0;
  const onSocket = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    socket.on('connectionAttempt', (_address: string, to: number) => (dials += to === port ? 1 : 0));
  };
  diagnostics.subscribe('net.client.socket', onSocket);
  return { dials: () => dials, end: () => void diagnostics.unsubscribe('net.client.socket', onSocket) };
}
