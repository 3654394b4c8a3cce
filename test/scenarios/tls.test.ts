import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { request, type RequestOptions } from 'node:https';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { describe, expect } from 'vitest';
import { createAuthority, type Pair } from '../fakes/certificates.ts';
import { randomBlob } from '../fakes/images.ts';
import { until } from './acceptance.ts';
import { scenario } from './harness.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import type { Running } from './running.ts';
import { authority, keyPath, place, portOf, secure } from './secure.ts';
import { routesTo } from './settings.ts';

const own = { settings: null };
const clients = createAuthority('Clients');

interface Answer {
  readonly status: number | undefined;
  readonly sha256: string;
  /** The common name of the server's certificate. */
  readonly server: string;
}

/** A GET on a connection of its own. */
function fetch(server: Running, path: string, options: RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const to = { host: '127.0.0.1', port: portOf(server), path, ca: authority.certificate, agent: false, ...options };
    const sent = request(to, (incoming) => {
      const subject = String((incoming.socket as TLSSocket).getPeerCertificate().subject.CN);
      const hash = createHash('sha256');
      incoming.on('data', (chunk: Buffer) => hash.update(chunk));
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode, sha256: `sha256:${hash.digest('hex')}`, server: subject }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

scenario(
  'a certificate is swapped under load without a failed request, and a wrong pair is kept out',
  async (stage) => {
    const layer = randomBlob(100_000);
    stage.upstream.blob(ALPINE, layer);
    const server = await stage.start(await secure(stage));
    const seen: string[] = [];
    let going = true;
    const load = Array.from({ length: 2 }, async () => {
      while (going) {
        const { status, sha256, server: name } = await fetch(server, blobPath(layer));
        expect([status, sha256]).toEqual([200, layer.digest]);
        seen.push(name);
      }
    });
    const next = authority.issue('next', { to: new Date('2051-01-01T00:00:00Z') });
    await place(stage, next);
    await until(
      async () => seen.at(-1),
      (name) => name === 'next',
    );
    await server.logged('reloaded', ({ config }) => config === 'http.tls');
    const expiry = (await server.metrics()).sum('entrepot_certificate_expiry_timestamp_seconds');
    expect(expiry).toBe(Date.UTC(2051, 0, 1) / 1000);

    await writeFile(keyPath(stage), authority.issue('other').key);
    const refused = await server.logged('reload failed', ({ config }) => config === 'http.tls');
    expect(refused['error']).toBe('http.tls.key: expected the private key of http.tls.certificate');
    expect((await server.metrics()).sum('entrepot_config_last_reload_successful')).toBe(0);
    expect((await fetch(server, '/livez')).server).toBe('next');

    going = false;
    await Promise.all(load);
    expect(seen).toContain('localhost');
    // Said once, however often it was looked at.
    expect(server.records.filter(({ msg }) => msg === 'reload failed')).toHaveLength(1);
    expect(server.records.filter(({ msg }) => msg === 'plain http')).toEqual([]);
  },
  own,
);

scenario(
  'a certificate that runs out is said, in the log and in a metric',
  async (stage) => {
    const settings = await secure(stage);
    const soon = new Date(Date.now() + 3 * 86_400_000);
    await place(stage, authority.issue('localhost', { to: soon }));
    const server = await stage.start(settings);
    const record = await server.logged('certificate expires');
    expect(record).toMatchObject({ level: 'warn', name: 'http.tls', expires: `${soon.toISOString().slice(0, -5)}.000Z` });
  },
  own,
);

scenario(
  'plain HTTP where others can reach it is said once',
  async (stage) => {
    const http = { addr: ':0', debug: { addr: '127.0.0.1:0' } };
    const server = await stage.start({ ...routesTo(stage.upstream), http }, 'open');
    expect((await server.logged('plain http'))['why']).toContain('set http.tls');
    expect(server.records.filter(({ msg }) => msg === 'plain http')).toHaveLength(1);
    const local = await stage.start(routesTo(stage.upstream), 'local');
    await local.get('/livez');
    expect(local.records.filter(({ msg }) => msg === 'plain http')).toEqual([]);
  },
  own,
);

describe('client certificates', () => {
  scenario(
    'without one, with a stranger’s, and with one that clientcas vouch for',
    async (stage) => {
      const cas = join(stage.directory, 'clients.pem');
      await writeFile(cas, clients.certificate);
      const shown = ({ certificate, key }: Pair): RequestOptions => ({ cert: certificate, key });
      const [ann, ben, mallory] = [clients.issue('ann'), clients.issue('ben'), createAuthority('Mallory').issue('ann')].map(
        shown,
      );
      stage.upstream.image(ALPINE, '1');
      const tls = { clientcas: [cas], clientauth: 'verify-client-cert-if-given' };
      const access = [{ match: 'docker.io/**', pull: ['user:ann'] }];
      const server = await stage.start(await secure(stage, tls, { access }));
      const status = async (options?: RequestOptions): Promise<unknown> =>
        fetch(server, manifestPath('1'), options).then(
          (answer) => answer.status,
          () => 'refused',
        );
      expect([await status(), await status(mallory), await status(ann), await status(ben)]).toEqual([404, 'refused', 200, 404]);
    },
    own,
  );
});

describe('HTTP/2', () => {
  scenario(
    'a whole image on one connection',
    async (stage) => {
      const image = stage.upstream.image(ALPINE, '1', { layers: [2_000_000, 300_000, 1000] });
      const server = await stage.start(await secure(stage));
      const session = connectHttp2(`https://127.0.0.1:${portOf(server)}`, { ca: authority.certificate });
      stage.defer(() => session.destroy());
      const get = (path: string): Promise<string> =>
        new Promise((resolve) => {
          const hash = createHash('sha256');
          const stream = session.request({ ':path': path, accept: '*/*' });
          stream.on('data', (chunk: Buffer) => hash.update(chunk)).on('error', () => undefined);
          stream.on('close', () => resolve(stream.rstCode === 0 ? `sha256:${hash.digest('hex')}` : `reset ${stream.rstCode}`));
        });
      expect(await get(manifestPath('1'))).toBe(image.top.digest);
      const blobs = [...image.configs, ...image.layers];
      expect(await Promise.all(blobs.map((blob) => get(blobPath(blob))))).toEqual(blobs.map(({ digest }) => digest));
      expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
    },
    own,
  );

  scenario(
    'wrong bytes are a reset, and no client takes half a blob for a whole one',
    async (stage) => {
      const layer = randomBlob(1_000_000);
      stage.upstream.blob(ALPINE, layer).flipByte(500_000);
      const server = await stage.start(await secure(stage));
      const ca = join(stage.directory, 'ca.pem');
      await writeFile(ca, authority.certificate);
      const url = `https://127.0.0.1:${portOf(server)}${blobPath(layer)}`;
      const { code, out } = await curl(
        '--http2',
        '--cacert',
        ca,
        '-o',
        '/dev/null',
        '-w',
        '%{http_version} %{size_download}',
        url,
      );
      expect(code).not.toBe(0);
      expect(out).toMatch(/^2 \d+$/);
      expect(Number(out.split(' ')[1])).toBeLessThan(layer.bytes.byteLength);
    },
    { ...own, ...(hasCurl() ? {} : { whyNot: 'curl with HTTP/2 is not installed (curl)' }) },
  );
});

function hasCurl(): boolean {
  try {
    return execFileSync('curl', ['--version'], { encoding: 'utf8' }).includes('HTTP2');
  } catch {
    // Not there.
    return false;
  }
}

function curl(...args: readonly string[]): Promise<{ readonly code: unknown; readonly out: string }> {
  return new Promise((resolve) => {
    execFile('curl', ['--silent', '--max-time', '20', ...args], (error, out) => resolve({ code: error?.code ?? 0, out }));
  });
}
