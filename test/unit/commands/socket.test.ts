import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAdmin } from '../../../src/admin/admin.ts';
import { createCalls, type ServerControl } from '../../../src/admin/calls.ts';
import { remoteAdmin } from '../../../src/commands/remote-admin.ts';
import { callServer, NoServerError } from '../../../src/commands/socket-client.ts';
import { openAdminSocket, type AdminSocket } from '../../../src/http/socket.ts';
import { unlinkSocket } from '../../../src/system/unlink-socket.ts';
import { house, type House } from '../admin/house.ts';
import { requestEvent } from '../observe/recorder.ts';

let directory: string;
let path: string;
let socket: AdminSocket;
let at: House;
let faults: unknown[];

const control: ServerControl = {
  reload: () => Promise.reject(new Error('config.yml:1:1: bogus\nconfig.yml:2:1: other')),
  health: () => ({ ready: true, degraded: ['metadata'] }),
};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'entrepot-'));
  path = join(directory, 'entrepot.sock');
  at = house();
  faults = [];
  socket = await openAdminSocket({
    path,
    calls: createCalls(createAdmin(at), control),
    unlinkSocket,
    onFault: (_call, error) => faults.push(error),
  });
});

afterEach(async () => {
  await socket.close();
  rmSync(directory, { recursive: true });
});

describe('the socket', () => {
  test('answers as the functions behind it do', async () => {
    const admin = remoteAdmin(path);
    expect(await admin.status()).toEqual(JSON.parse(JSON.stringify(await createAdmin(at).status())));
    expect(await admin.clients()).toEqual([]);
    expect(await admin.refresh('alpine')).toEqual({ outcome: 'unchanged', image: 'docker.io/library/alpine:latest' });
    expect(await admin.explain('alpine', new AbortController().signal)).toMatchObject({ repository: 'library/alpine' });
    expect(await callServer(path, 'health', {})).toEqual({ ready: true, degraded: ['metadata'] });
  });

  test('a refusal arrives as its sentence, and is no fault of the server', async () => {
    const admin = remoteAdmin(path);
    await expect(admin.refresh('alpine@sha256:1')).rejects.toThrow(/name a tag/);
    await expect(callServer(path, 'reload', {})).rejects.toThrow('config.yml:1:1: bogus; config.yml:2:1: other');
    await expect(callServer(path, 'explain', {})).rejects.toThrow('the parameter image is missing');
    await expect(callServer(path, 'explain', { image: 7 })).rejects.toThrow('the parameter image is no text');
    const listed = admin.ls('nothing')[Symbol.asyncIterator]();
    await expect(listed.next()).rejects.toThrow('nothing that is held matches nothing');
    expect(faults).toEqual([]);
  });

  test('tail streams until its reader stops', async () => {
    const stop = new AbortController();
    const lines = remoteAdmin(path).tail(stop.signal)[Symbol.asyncIterator]();
    const first = lines.next();
    // The watcher is there from some turn on: push until it has told.
    let told: string | undefined;
    const telling = first.then(({ value }) => (told = String(value)));
    while (told === undefined) {
      at.recent.onRequest(requestEvent());
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await telling).toContain('docker.io/library/alpine:latest');
    stop.abort();
    await lines.return?.(undefined);
  });

  test('a socket that a killed server left is nobody', async () => {
    await expect(callServer(join(directory, 'none.sock'), 'health', {})).rejects.toThrow(NoServerError);
  });
});
