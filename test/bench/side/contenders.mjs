// Ours, and what a user would run otherwise: each with what it needs, on a free port, in a directory of its own.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answers, freePort, start } from './processes.mjs';

const MAIN = new URL('../../../dist/main.js', import.meta.url).pathname;
const BARE = new URL('bare.mjs', import.meta.url).pathname;

/** `fresh`: with nothing held. */
async function begun(name, base, begin) {
  const directory = join(base, name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const port = await freePort();
  const { scheme = 'http', ready = '/v2/', ...program } = await begin(directory, port);
  const url = `${scheme}://127.0.0.1:${port}`;
  await answers(`${url}${ready}`);
  return { name, url, directory, ...program };
}

/** With rules, as somebody who has any private repositories runs it. */
export const entrepot = (base, upstream, { tls, name = 'entrepot', more = {} } = {}) =>
  begun(name, base, async (directory, port) => {
    const tlsOf = tls === undefined ? {} : { tls: { certificate: tls.certificate, key: tls.key } };
    const file = configure(directory, upstream, { http: { addr: `127.0.0.1:${port}`, ...tlsOf }, ...more });
    return {
      ...start(process.execPath, [MAIN, 'serve', file], { env: { UV_THREADPOOL_SIZE: '16', ...process.env } }),
      scheme: tls === undefined ? 'http' : 'https',
    };
  });

/** Writes its configuration, whose data are in `data` beside it; yields the file. */
export function configure(directory, upstream, more) {
  const users = join(directory, 'htpasswd');
  writeFileSync(users, 'ann:$2b$10$R1nTPSMtCGPGI3BwhuxKn.HVh1VRPlICJdAtmtkZUJwqIEZNILczO\n');
  const settings = {
    version: 0.1,
    log: { accesslog: { disabled: true }, level: 'error' },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    cache: { maxsize: '16GiB', keepfree: '0%' },
    names: { open: ['127.0.0.1'] },
    upstreams: { up: { url: upstream } },
    defaults: { tagttl: '1h' },
    routes: [{ match: 'docker.io/**', name: 'hub', upstreams: ['up'] }],
    auth: { htpasswd: { realm: 'bench', path: users } },
    access: [
      { match: 'docker.io/private/**', pull: ['user:ann'] },
      { match: '**', pull: ['anyone'] },
    ],
    ...more,
  };
  const file = join(directory, 'config.yml');
  writeFileSync(file, JSON.stringify(settings));
  return file;
}

/** The official registry as a pull-through mirror, `docker-registry` of the distribution. */
export const official = (base, upstream) =>
  begun('official', base, async (directory, port) => {
    const file = join(directory, 'config.yml');
    writeFileSync(
      file,
      JSON.stringify({
        version: 0.1,
        log: { level: 'error', accesslog: { disabled: true } },
        http: { addr: `127.0.0.1:${port}` },
        storage: { filesystem: { rootdirectory: join(directory, 'data') } },
        proxy: { remoteurl: upstream },
      }),
    );
    return start('docker-registry', ['serve', file]);
  });

const nginxFile = (directory, http) => `
daemon off; worker_processes 1; pid ${directory}/nginx.pid; error_log ${directory}/error.log error;
events { worker_connections 16384; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 600s;
  default_type application/octet-stream;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy; fastcgi_temp_path ${directory}/fcgi;
  uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
  ${http}
}`;

function nginx(directory, http) {
  const file = join(directory, 'nginx.conf');
  writeFileSync(file, nginxFile(directory, http));
  // Debian's nginx changes its user when it is started as root; what it is to read is root's.
  return start('nginx', ['-c', file, '-p', directory, '-g', 'user root;']);
}

/** nginx with `proxy_cache`, one worker. */
export const nginxCache = (base, upstream) =>
  begun('nginx-cache', base, async (directory, port) => ({
    ...nginx(
      directory,
      `proxy_cache_path ${directory}/cache levels=1:2 keys_zone=all:64m max_size=16g inactive=10h use_temp_path=off;
       server { listen 127.0.0.1:${port} reuseport; location / { proxy_pass ${upstream}; proxy_cache all; proxy_cache_valid 200 10h; proxy_cache_lock on; proxy_http_version 1.1; } }`,
    ),
  }));

/**
 * nginx with sendfile from plain files, one worker: the files are put under `files` by their paths, or are there (`from`).
 * `manifest`: the type of manifests.
 */
export const nginxFiles = (base, { tls, name = 'nginx-files', manifest = 'application/octet-stream', from } = {}) =>
  begun(name, base, async (directory, port) => {
    const files = from ?? join(directory, 'files');
    mkdirSync(join(files, 'v2'), { recursive: true });
    writeFileSync(join(files, 'v2/index.html'), '{}');
    const listen =
      tls === undefined ? `${port}` : `${port} ssl; ssl_certificate ${tls.certificate}; ssl_certificate_key ${tls.key}`;
    const types = `location ~ /manifests/ { default_type ${manifest}; }`;
    return {
      ...nginx(directory, `server { listen 127.0.0.1:${listen}; root ${files}; ${types} }`),
      scheme: tls === undefined ? 'http' : 'https',
      files,
    };
  });

/** Node without us, as bare.mjs has it: what of a figure no program in Node could better. `from`: the answer, or where files are. */
export const bareNode = (base, kind, from) =>
  begun(`bare ${kind}`, base, async (_, port) => ({
    ...start(process.execPath, [BARE, kind, String(port), from]),
    ready: kind === 'files' ? '/v2/index.html' : '/v2/',
  }));

/** Node as a mirror that keeps a file and nothing else, as bare.mjs has it. */
export const bareFill = (base, upstream) =>
  begun('bare fill', base, async (directory, port) =>
    start(process.execPath, [BARE, 'fill', String(port), upstream, directory]),
  );

/** A certificate for 127.0.0.1, made here and now. */
export function certificate(base) {
  const [key, made] = [join(base, 'tls.key'), join(base, 'tls.crt')];
  const subject = '/CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1';
  const options = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj ${subject}`;
  execFileSync('openssl', [...options.split(' '), '-keyout', key, '-out', made], { stdio: 'ignore' });
  return { key, certificate: made };
}
