import { lstat, mkdir, mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import { openAdminSocket, type Call } from '../../../src/http/socket.ts';
import { unlinkSocket } from '../../../src/system/unlink-socket.ts';

let path: string;

beforeEach(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-socket-'));
  path = join(directory, 'entrepot.sock');
  return () => rm(directory, { recursive: true });
});

async function open(calls: Record<string, Call>): Promise<{ faults: unknown[]; close(): Promise<void> }> {
  const faults: unknown[] = [];
  const socket = await openAdminSocket({ path, calls, unlinkSocket, onFault: (_, error) => faults.push(error) });
  onTestFinished(() => socket.close());
  return { faults, close: socket.close };
}

function call(
  name: string,
  body: string,
  method = 'POST',
): Promise<{ status: number | undefined; type: string | undefined; text: string; whole: boolean }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: path, path: `/${name}`, method }, (incoming) => {
      let text = '';
      incoming.on('data', (chunk) => (text += String(chunk)));
      incoming.on('error', () => undefined);
      incoming.on('close', () => {
        resolve({ status: incoming.statusCode, type: incoming.headers['content-type'], text, whole: incoming.complete });
      });
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

describe('the admin socket', () => {
  test("[GHSA-89vc-vf32-ch59] is its owner's alone", async () => {
    await open({});
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test('answers a call with JSON', async () => {
    await open({ echo: (params) => Promise.resolve(params), nothing: () => Promise.resolve(undefined) });
    expect(await call('echo', '{"a":[1]}')).toEqual({ status: 200, type: 'application/json', text: '{"a":[1]}', whole: true });
    expect((await call('echo', '')).text).toBe('{}');
    expect((await call('nothing', '{}')).text).toBe('null');
  });

  test('streams what is a stream, a line each', async () => {
    await open({
      async *count() {
        yield 1;
        yield { two: '2\n' };
      },
    });
    expect(await call('count', '{}')).toEqual({
      status: 200,
      type: 'application/x-ndjson',
      text: '1\n{"two":"2\\n"}\n',
      whole: true,
    });
  });

  test('a stream that fails is cut; one whose caller leaves is ended', async () => {
    let ended: () => void = () => undefined;
    const end = new Promise<void>((resolve) => (ended = resolve));
    const { faults } = await open({
      async *broken() {
        yield 1;
        throw new Error('it broke');
      },
      async *tail(_, signal) {
        try {
          yield 1;
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          yield 2;
        } finally {
          ended();
        }
      },
    });
    expect(await call('broken', '{}')).toMatchObject({ text: '1\n', whole: false });
    expect(faults).toEqual([new Error('it broke')]);
    const outgoing = request({ socketPath: path, path: '/tail', method: 'POST' }, (incoming) => {
      incoming.on('error', () => undefined);
      incoming.once('data', () => outgoing.destroy());
    });
    outgoing.on('error', () => undefined);
    outgoing.end();
    await end;
  });

  test.each([
    ['toString', '{}', 'POST', 404],
    ['nothing', '{}', 'POST', 404],
    ['echo', '{}', 'GET', 404],
    ['echo', '[1]', 'POST', 400],
    ['echo', 'null', 'POST', 400],
    ['echo', '{', 'POST', 400],
    ['refuse', '{}', 'POST', 422],
    ['fail', '{}', 'POST', 500],
  ])('%s with %s by %s is %i', async (name, body, method, status) => {
    const { faults } = await open({
      echo: (params) => Promise.resolve(params),
      refuse: () => Promise.reject(new RegistryError('NAME_UNKNOWN', 'ubuntu is not held')),
      fail: () => Promise.reject(new Error('no')),
    });
    const reply = await call(name, body, method);
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.text)).toHaveProperty('error');
    expect(faults).toHaveLength(status === 500 ? 1 : 0);
  });

  test('a file on which nobody answers is replaced, one on which somebody does is not', async () => {
    await open({ who: () => Promise.resolve('first') });
    await expect(open({})).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect((await call('who', '')).text).toBe('"first"');
  });

  test('a stale file is replaced', async () => {
    await leaveStaleFile();
    await open({ who: () => Promise.resolve('second') });
    expect((await call('who', '')).text).toBe('"second"');
  });

  test('what stands there and is no socket of a killed server is left as it is, and the error says what to do', async () => {
    const put: Readonly<Record<string, () => Promise<unknown>>> = {
      'somebody’s file': () => writeFile(path, 'not ours'),
      'a directory': () => mkdir(path),
      'a link to nothing': () => symlink(`${path}.elsewhere`, path),
      'a link to itself': () => symlink(path, path),
    };
    for (const [what, make] of Object.entries(put)) {
      await make();
      const before = await lstat(path);
      const opening = openAdminSocket({ path, calls: {}, unlinkSocket, onFault: () => undefined });
      await expect(opening, what).rejects.toThrow(new RegExp(`^${path} stands where a socket is wanted.*: .*move it away$`));
      expect((await lstat(path)).ino, what).toBe(before.ino);
      await rm(path, { recursive: true });
    }
    await open({});
  });
});

/** A socket file without a server, as a killed process leaves it: Node unlinks by path at close, so the path is moved first. */
async function leaveStaleFile(): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.old`, resolve));
  await rename(`${path}.old`, path);
  await new Promise((resolve) => server.close(resolve));
}
