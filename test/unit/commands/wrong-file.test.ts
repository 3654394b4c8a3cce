import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAdmin } from '../../../src/admin/admin.ts';
import { createCalls } from '../../../src/admin/calls.ts';
import { openAdminSocket, type AdminSocket } from '../../../src/http/socket.ts';
import { unlinkSocket } from '../../../src/system/unlink-socket.ts';
import { house } from '../admin/house.ts';
import { scene } from './scene.ts';

let root: string;
let socket: AdminSocket;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'entrepot-'));
  const control = {
    reload: () => Promise.reject(new Error('wrong.yml:1:1: bogus')),
    health: () => ({ ready: true, degraded: [] }),
  };
  socket = await openAdminSocket({
    path: join(root, 'entrepot.sock'),
    calls: createCalls(createAdmin(house()), control),
    unlinkSocket,
    onFault: () => undefined,
  });
});

afterEach(async () => {
  await socket.close();
  rmSync(root, { recursive: true, force: true });
});

/** A configuration that its server would refuse, but that still says where the server is. */
const wrong = (where: string): string => `rotes: []\nstorage: { filesystem: { rootdirectory: ${where} } }\n`;

describe('a file that has become wrong under a running server', () => {
  test.each([['health'], ['status'], ['clients'], ['ls'], ['explain', 'alpine']])('%s still answers: 0', async (...command) => {
    const at = await scene();
    await at.write('/work/wrong.yml', wrong(root));
    const { exit, out, err } = await at.command(...command, '--config', 'wrong.yml');
    expect({ exit, said: out !== '' || command[0] === 'ls' }).toEqual({ exit: 0, said: true });
    expect(err).toMatch(/^note: the configuration before this one is in force: wrong\.yml:1:1: rotes: .*routes/);
  });

  test('the environment says where, too', async () => {
    const at = await scene({ env: { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: root } });
    await at.write('/work/wrong.yml', wrong('/elsewhere'));
    expect(await at.command('health', '--config', 'wrong.yml')).toMatchObject({ exit: 0, out: 'ready\n' });
  });

  test('reload says what the server says: 1', async () => {
    const at = await scene();
    await at.write('/work/wrong.yml', wrong(root));
    expect(await at.command('reload', '--config', 'wrong.yml')).toEqual({ exit: 1, out: '', err: 'wrong.yml:1:1: bogus\n' });
  });

  test.each(['health', 'status', 'ls'])('%s without a server says what is wrong with the file: 1', async (name) => {
    const at = await scene();
    await at.write('/work/wrong.yml', wrong('/nowhere'));
    await at.write('/work/broken.yml', 'storage: {');
    const { exit, err } = await at.command(name, '--config', 'wrong.yml');
    expect(exit).toBe(1);
    expect(err).toMatch(/^wrong\.yml:1:1: rotes/);
    expect(await at.command(name, '--config', 'broken.yml')).toMatchObject({ exit: 1 });
  });
});
