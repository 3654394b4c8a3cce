import { createServer, Socket, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { guardNetwork } from '../../fakes/network-guard.ts';

const original = Socket.prototype.connect;
afterEach(() => {
  Socket.prototype.connect = original;
});

describe('the guard on the network', () => {
  test('refuses an address that is not here, and says so', async () => {
    const reported = guardedReports();
    expect(await outcomeOf(new Socket().connect({ host: '192.0.2.1', port: 9 }))).toBe('EPERM');
    expect(await outcomeOf(new Socket().connect(9, '192.0.2.2'))).toBe('EPERM');
    expect(reported).toEqual(['192.0.2.1', '192.0.2.2']);
  });

  test('refuses a name that the resolver puts elsewhere', async () => {
    const reported = guardedReports();
    const socket = new Socket().connect({
      host: 'registry.test',
      port: 9,
      lookup: (_name, _options, callback) => callback(null, [{ address: '192.0.2.3', family: 4 }]),
      autoSelectFamily: true,
    });
    expect(await outcomeOf(socket)).toBe('EPERM');
    expect(reported).toEqual(['registry.test (192.0.2.3)']);
  });

  test('lets the loopback through, by address and by name', async () => {
    const reported = guardedReports();
    const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await outcomeOf(new Socket().connect(port, '127.0.0.1'))).toBe('connected');
    expect(await outcomeOf(new Socket().connect({ host: 'localhost', port, family: 4 }))).toBe('connected');
    server.close();
    expect(reported).toEqual([]);
  });
});

function guardedReports(): string[] {
  const reported: string[] = [];
  guardNetwork((target) => reported.push(target));
  return reported;
}

function outcomeOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once('connect', () => {
      socket.destroy();
      resolve('connected');
    });
  });
}
