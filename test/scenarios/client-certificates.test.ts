import { once } from 'node:events';
import { request, type RequestOptions } from 'node:https';
import { writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { describe, expect } from 'vitest';
import type { GetOptions, Reply } from '../fakes/http-client.ts';
import { createAuthority, type Authority, type Pair } from '../fakes/certificates.ts';
import { buildImage } from '../fakes/images.ts';
import { scenario, type Stage } from './harness.ts';
import { pushImage, type PushedTo } from './push.ts';
import type { RunningHere } from './in-process.ts';
import { authority, portOf, secure } from './secure.ts';
import type { Settings } from './settings.ts';

const own = { settings: null };
const clients = createAuthority('Clients');
const app = buildImage({ label: 'app' });
const LATEST = '/v2/team/app/manifests/latest';
const YEAR_MS = 365 * 86_400_000;

/** ann pushes, ben pulls; who shows no certificate is nobody in particular. */
async function settings(stage: Stage, cas: Authority, clientauth = 'verify-client-cert-if-given'): Promise<Settings> {
  const path = join(stage.directory, 'clients.pem');
  await writeFile(path, cas.certificate);
  return secure(
    stage,
    { clientcas: [path], clientauth },
    {
      names: { default: 'registry.acme.test', self: ['registry.acme.test'] },
      routes: [{ match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] }],
      upstreams: {},
      access: [{ match: '**', pull: ['user:ann', 'user:ben'], push: ['user:ann'] }],
    },
  );
}

const shown = ({ certificate, key }: Pair): RequestOptions => ({ cert: certificate, key });

/** A client that shows this with every request, each on a connection of its own. */
function showing(server: RunningHere, options: RequestOptions = {}): PushedTo {
  const send = (path: string, { method = 'GET', headers, body }: GetOptions = {}): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const to: RequestOptions = {
        host: '127.0.0.1',
        port: portOf(server),
        ca: authority.certificate,
        agent: false,
        ...options,
      };
      const sent = request(
        { ...to, path, method, ...(headers === undefined ? {} : { headers: headers as Record<string, string> }) },
        (incoming) => {
          buffer(incoming).then(
            (bytes) =>
              resolve({
                status: incoming.statusCode ?? 0,
                headers: incoming.headers,
                bytes: async () => bytes,
                text: async () => bytes.toString(),
              } as Reply),
            reject,
          );
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  return { get: send, head: (path, more) => send(path, { ...more, method: 'HEAD' }) };
}

const statusOf = (server: RunningHere, options?: RequestOptions, path = LATEST): Promise<unknown> =>
  showing(server, options)
    .get(path)
    .then(
      ({ status }) => status,
      () => 'refused',
    );

/** GETs on a connection as it stands; yields the status lines' numbers. */
async function ask(socket: TLSSocket, path = LATEST): Promise<number> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: registry.acme.test\r\n\r\n`);
  const [bytes] = (await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [Buffer.alloc(0)])])) as [Buffer];
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(bytes.toString())?.[1] ?? 0);
}

async function dial(server: RunningHere, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: portOf(server),
    ca: authority.certificate,
    servername: 'localhost',
    ...options,
  });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

describe('a client certificate', () => {
  scenario(
    'is who it names: pulls and pushes as the rules of that user say',
    async (stage) => {
      const server = await stage.start(await settings(stage, clients));
      const [ann, ben, cid] = ['ann', 'ben', 'cid'].map((name) => showing(server, shown(clients.issue(name))));
      expect((await pushImage(ann!, '/v2/team/app', 'latest', app)).status).toBe(201);
      expect((await pushImage(ben!, '/v2/team/app', 'again', app)).status).toBe(404);
      const pulled = await ben!.get(LATEST);
      expect([pulled.status, (await pulled.bytes()).equals(app.top.bytes), pulled.headers['cache-control']]).toEqual([
        200,
        true,
        'private',
      ]);
      expect([(await cid!.get(LATEST)).status, (await showing(server).get(LATEST)).status]).toEqual([404, 404]);
      const users = server.records.filter(({ msg, path }) => msg === 'request' && path === LATEST).map(({ user }) => user);
      expect(users).toContain('user:ben');
    },
    own,
  );

  scenario(
    'of somebody else, of another time, or with more names than one is nobody’s, whatever it says',
    async (stage) => {
      const server = await stage.start(await settings(stage, clients));
      expect((await pushImage(showing(server, shown(clients.issue('ann'))), '/v2/team/app', 'latest', app)).status).toBe(201);
      const now = Date.now();
      const wrong: Readonly<Record<string, Pair>> = {
        'another authority of the same name': createAuthority('Clients').issue('ann'),
        'the authority that signed the server': authority.issue('ann'),
        'under one that ours did not sign': createAuthority('Clients').under('between').issue('ann'),
        'under one that is no authority': clients.under('leaf', 'none').issue('ann'),
        expired: clients.issue('ann', { from: new Date(now - YEAR_MS), to: new Date(now - 1000) }),
        'not yet': clients.issue('ann', { from: new Date(now + 60_000), to: new Date(now + YEAR_MS) }),
        'two names': clients.issue(['ann', 'ben']),
      };
      for (const [what, pair] of Object.entries(wrong)) {
        const outcome = await statusOf(server, shown(pair));
        expect([what, outcome === 'refused' || outcome === 404]).toEqual([what, true]);
      }
      expect(await statusOf(server, shown(clients.issue('ann')))).toBe(200);
    },
    own,
  );

  scenario(
    'proves nothing for a connection that takes up an earlier one, nor for one that is negotiated anew',
    async (stage) => {
      const server = await stage.start(await settings(stage, clients));
      const ann = clients.issue('ann');
      expect((await pushImage(showing(server, shown(ann)), '/v2/team/app', 'latest', app)).status).toBe(201);
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const first = await dial(server, { cert: ann.certificate, key: ann.key, maxVersion });
        let session: Buffer | undefined = first.getSession();
        first.on('session', (one: Buffer) => (session = one));
        expect(await ask(first)).toBe(200);
        await new Promise((resolve) => setImmediate(resolve));
        first.destroy();
        const second = await dial(server, { maxVersion, ...(session === undefined ? {} : { session }) });
        expect([maxVersion, await ask(second)]).toEqual([maxVersion, 404]);
        second.destroy();
      }
      const plain = await dial(server, { maxVersion: 'TLSv1.2' });
      expect(await ask(plain)).toBe(404);
      plain.renegotiate({ rejectUnauthorized: true }, () => undefined);
      expect([0, 404]).toContain(await ask(plain));
      plain.destroy();
      expect(await statusOf(server, shown(ann))).toBe(200);
    },
    own,
  );

  scenario(
    'is nobody’s from the moment that its authority is taken out, on open connections too',
    async (stage) => {
      const next = createAuthority('Next');
      const server = await stage.start(await settings(stage, clients));
      const ann = clients.issue('ann');
      expect((await pushImage(showing(server, shown(ann)), '/v2/team/app', 'latest', app)).status).toBe(201);
      const open = await dial(server, { cert: ann.certificate, key: ann.key });
      expect(await ask(open)).toBe(200);
      await server.reload({
        version: 0.1,
        storage: { filesystem: { rootdirectory: join(stage.directory, 'data') } },
        ...(await settings(stage, next)),
      });
      if (!open.destroyed) await once(open, 'close');
      expect(await statusOf(server, shown(ann))).toBe('refused');
      expect(await statusOf(server, shown(next.issue('ann')))).toBe(200);
    },
    own,
  );
});
