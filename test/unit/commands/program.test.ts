import { describe, expect, test } from 'vitest';
import type { EvictStep } from '../../../src/admin/evict.ts';
import type { Proof } from '../../../src/admin/prove.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { WELL_KNOWN_PATTERNS } from '../../../src/oci/well-known.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { CONFIG, scene } from './scene.ts';

const LATER = ['who', 'warm', 'export'];

describe('the command line', () => {
  test('help names every command that there is, and none that is not built', async () => {
    const { exit, out, err } = await (await scene()).command('--help');
    expect({ exit, err }).toEqual({ exit: 0, err: '' });
    for (const name of [
      'serve',
      'check',
      'status',
      'explain',
      'ls',
      'refresh',
      'release',
      'collect',
      'garbage-collect',
      'scrub',
      'import',
      'backup',
      'restore',
      'tail',
      'clients',
      'client',
      'token',
      'htpasswd',
      'reload',
      'health',
      'version',
    ]) {
      expect(out).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
    }
    for (const name of LATER) expect(out).not.toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
  });

  test.each([
    'serve',
    'check',
    'status',
    'explain',
    'ls',
    'evict',
    'pin',
    'unpin',
    'refresh',
    'release',
    'collect',
    'garbage-collect',
    'scrub',
    'import',
    'backup',
    'restore',
    'tail',
    'clients',
    'client',
    'token create',
    'token list',
    'token revoke',
    'htpasswd',
    'reload',
    'health',
    'version',
  ])('%s takes --help and --config', async (name) => {
    const { exit, out } = await (await scene()).command(...name.split(' '), '--help');
    expect(exit).toBe(0);
    expect(out).toContain('--config <file>');
  });

  test.each([
    [['frobnicate'], 'frobnicate'],
    [['client'], 'kind'],
    [['client', 'rkt'], 'rkt'],
    [['status', '--bogus'], '--bogus'],
    [['explain'], 'image'],
    [['ls', 'a', 'b'], 'ls'],
    [['evict'], '--dry-run'],
    [['pin'], 'pattern'],
    [['unpin'], 'pattern'],
    [['collect', 'now'], 'collect'],
    [['import'], '--from-registry'],
    [['backup'], 'directory'],
    [['restore'], 'directory'],
    [['token'], 'create'],
    [['token', 'create'], 'name'],
    [['token', 'frobnicate'], 'token create, token list, token revoke'],
    [['htpasswd'], 'user'],
    ...LATER.map((name) => [[name], `${name} is not built yet`] as [string[], string]),
  ] as [string[], string][])('%j is wrong usage: 2, and one line on stderr', async (args, said) => {
    const { exit, out, err } = await (await scene()).command(...args);
    expect({ exit, out }).toEqual({ exit: 2, out: '' });
    expect(err).toContain(said);
    expect(err).not.toContain('.:');
    expect(err.trimEnd().split('\n')).toHaveLength(1);
  });

  test('version', async () => {
    const at = await scene();
    expect(await at.command('version')).toEqual({ exit: 0, out: '1.2.3\n', err: '' });
    expect(await at.command('--version')).toEqual({ exit: 0, out: '1.2.3\n', err: '' });
    expect(JSON.parse((await at.command('version', '--json')).out)).toMatchObject({ version: '1.2.3' });
  });
});

describe('check', () => {
  const proof: Proof = {
    name: 'hub',
    url: 'https://registry-1.docker.io',
    via: 'direct',
    ok: true,
    message: 'answers',
    signedIn: true,
    rateLimit: { limit: 100, remaining: 76 },
    ms: 12,
  };

  test('prints the configuration, the route table with file and line, and each proof', async () => {
    const { exit, out } = await (await scene({ proofs: [proof] })).command('check');
    expect(exit).toBe(0);
    expect(out).toContain('rootdirectory: /data');
    expect(out).toMatch(/docker\.io\/\*\* ghcr\.io\/\*\* +hub +origin +tags 5m +config\.yml:6/);
    expect(out).toMatch(/hub +https:\/\/registry-1\.docker\.io +direct +signed in +76 of 100 +ok: answers \(12 ms\)/);
  });

  test('routes are printed as YAML, and the well-known registries in full, within 80 columns', async () => {
    const at = await scene();
    await at.write('/work/known.yml', 'routes:\n  - match: well-known\n    upstreams: [origin]\n');
    const { out } = await at.command('check', 'known.yml', '--offline');
    expect(out).toContain('routes:\n  - match: ["well-known"]\n    upstreams: ["origin"]\n    deny: false\n');
    const listed = out.split('\nwell-known:\n')[1]!;
    expect(listed.trim().split(/\s+/)).toEqual(WELL_KNOWN_PATTERNS);
    for (const line of listed.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('--json says forever where a tag stays servable for ever', async () => {
    const { out } = await (await scene()).command('check', '--offline', '--json');
    expect(JSON.parse(out)).toMatchObject({ routes: [{ policy: { stale: 'forever', tagttl: 300_000 } }] });
  });

  test('an upstream that failed: 3', async () => {
    const at = await scene({ proofs: [proof, { ...proof, name: 'corp', ok: false, message: 'connect: refused' }] });
    const { exit, err } = await at.command('check');
    expect(exit).toBe(3);
    expect(err).toBe('1 of 2 upstreams failed (corp): what each said stands above\n');
    expect((await at.command('check', '--offline')).exit).toBe(0);
  });

  test('a wrong file: 1, with file, line, column and key', async () => {
    const at = await scene();
    await at.write('/work/wrong.yml', 'version: 0.1\nhtpp: { addr: :5000 }\n');
    const { exit, out, err } = await at.command('check', 'wrong.yml', '--offline');
    expect({ exit, out }).toEqual({ exit: 1, out: '' });
    expect(err).toMatch(/wrong\.yml:2:1: htpp: .*http/);
  });

  test('no secret is printed, in text or JSON', async () => {
    const at = await scene();
    await at.write(
      '/work/secret.yml',
      `
version: 0.1
storage: { filesystem: { rootdirectory: /data } }
credentials: { docker.io: { username: me, password: cAnArY-1 } }
upstreams:
  corp: { url: https://corp.test, username: u, password: cAnArY-2, proxy: "http://p:cAnArY-3@proxy.test:3128", headers: { x-key: cAnArY-4 } }
routes: [{ match: docker.io/**, upstreams: [corp] }]
`,
    );
    for (const flag of ['--offline', '--json']) {
      const { exit, out } = await at.command('check', 'secret.yml', '--offline', flag);
      expect(exit).toBe(0);
      expect(out).toContain('corp.test');
      expect(out).not.toContain('cAnArY');
    }
  });

  test('--schema prints the JSON Schema', async () => {
    const { out } = await (await scene()).command('check', '--schema');
    expect(JSON.parse(out)).toMatchObject({
      properties: { http: expect.anything() as unknown, routes: expect.anything() as unknown },
    });
  });
});

describe('client', () => {
  test('takes the address of the configuration, or --url', async () => {
    const at = await scene();
    expect((await at.command('client', 'docker')).out).toContain('"http://127.0.0.1:5000"');
    expect((await at.command('client', 'docker', '--url', 'https://mirror.test')).out).toContain('"https://mirror.test"');
    await at.write(
      '/work/host.yml',
      'version: 0.1\nhttp: { addr: :5000, host: https://public.test }\nstorage: { filesystem: { rootdirectory: /data } }\nroutes: [{ match: "docker.io/**", upstreams: [origin] }]\n',
    );
    expect((await at.command('client', 'podman', '--config', 'host.yml')).out).toContain('location = "public.test/docker.io"');
  });

  test('is by https where the listener speaks TLS', async () => {
    const at = await scene();
    const { certificate, key } = createAuthority('Test').issue('localhost');
    await at.write('/work/tls.crt', certificate);
    await at.write('/work/tls.key', key);
    await at.write('/work/tls.yml', CONFIG.replace('5000 }', '5000, tls: { certificate: tls.crt, key: tls.key } }'));
    const { out, exit } = await at.command('client', 'containerd', '--config', 'tls.yml');
    expect(exit).toBe(0);
    expect(out).toContain('https://127.0.0.1:5000');
    expect(out).not.toContain('http://');
  });

  test('names the registries that are routed, and keeps --only', async () => {
    const { out } = await (await scene()).command('client', 'containerd', '--only', '--json');
    const made = JSON.parse(out) as { files: { path: string; text: string }[] };
    expect(made.files.map(({ path }) => path)).toEqual([
      '/etc/containerd/certs.d/docker.io/hosts.toml',
      '/etc/containerd/certs.d/ghcr.io/hosts.toml',
    ]);
    expect(made.files[0]?.text).toMatch(/^server = "http:\/\/127\.0\.0\.1:5000"/);
  });

  test('what a client cannot do is a fault that says what to do', async () => {
    const { exit, err } = await (await scene()).command('client', 'docker', '--only');
    expect(exit).toBe(1);
    expect(err).toContain('docker pull 127.0.0.1:5000/docker.io/library/alpine');
  });

  test('where everything is hosted here there is no mirror to tell a client of', async () => {
    const at = await scene();
    await at.write('/work/plain.yml', 'version: 0.1\n');
    await at.write('/work/own.yml', 'routes: [{ match: "a.test/**", upstreams: [hosted] }]\n');
    for (const file of ['plain.yml', 'own.yml'])
      for (const kind of ['docker', 'containerd', 'podman', 'buildkit', 'k3s', 'crio']) {
        const { exit, err } = await at.command('client', kind, '--config', file);
        expect([exit, err]).toEqual([1, expect.stringContaining('this server mirrors nothing')]);
      }
  });
});

test('release tells the digest that was let go', async () => {
  const release = (image: string) =>
    Promise.resolve({ image: `docker.io/library/${image}:latest`, digest: `sha256:${'a'.repeat(64)}` as Digest, forgotten: 0 });
  const at = await scene({ admin: { release } });
  expect((await at.command('release', 'alpine')).out).toContain(
    `docker.io/library/alpine:latest is released from its cooldown`,
  );
  expect((await at.command('release', 'alpine')).out).not.toContain('verdicts');
  expect(JSON.parse((await at.command('release', 'alpine', '--json')).out)).toEqual(await release('alpine'));
});

test('release tells how many verdicts were forgotten', async () => {
  const release = (image: string) => Promise.resolve({ image: `docker.io/library/${image}:latest`, forgotten: 2 });
  const at = await scene({ admin: { release } });
  expect((await at.command('release', 'alpine')).out).toBe(
    'docker.io/library/alpine:latest: 2 verdicts are forgotten, and judges are asked anew\n',
  );
});

describe('disown', () => {
  test('tells who answers from then on', async () => {
    const disown = (repository: string) => Promise.resolve({ repository: `docker.io/${repository}`, chain: ['hub', 'origin'] });
    const at = await scene({ admin: { disown } });
    expect((await at.command('disown', 'acme/app')).out).toBe('docker.io/acme/app is given back to its chain: hub, origin\n');
    const { out } = await at.command('disown', 'acme/app', '--json');
    expect(JSON.parse(out)).toEqual({ repository: 'docker.io/acme/app', chain: ['hub', 'origin'] });
  });
});

describe('without a server', () => {
  test.each([['status'], ['tail'], ['clients'], ['reload'], ['health']])('%s says how to start one: 1', async (name) => {
    const { exit, err } = await (await scene()).command(name);
    expect(exit).toBe(1);
    expect(err).toContain('no server runs with /data');
    expect(err.trimEnd().split('\n')).toHaveLength(1);
  });

  test('ls opens the store itself', async () => {
    const listed = {
      repository: 'docker.io/library/alpine',
      tag: 'latest',
      digest: 'sha256:0',
      mediaType: 'm',
      checked: 'then',
      upstream: 'hub',
      lastUse: undefined,
      bytes: 3_000_000,
      pinned: ['docker.io/library/*'],
      pulls: 1,
    };
    async function* ls() {
      yield await Promise.resolve(listed as never);
    }
    const at = await scene({ admin: { ls } });
    expect((await at.command('ls')).out).toBe(
      'docker.io/library/alpine:latest  sha256:0  2.9 MiB  checked then  used never  pinned by docker.io/library/*\n',
    );
    expect(JSON.parse((await at.command('ls', '--json')).out)).toMatchObject({ tag: 'latest' });
  });

  test('evict tells what goes, what stays and why, and the whole; with --json one object a line', async () => {
    const asked: unknown[] = [];
    async function* evict(request: unknown) {
      asked.push(request);
      yield* await Promise.resolve<EvictStep[]>([
        { kind: 'image', repository: 'docker.io/library/a', tag: '1', digest: 'sha256:0', goes: true },
        { kind: 'image', repository: 'docker.io/library/a', tag: '2', digest: 'sha256:1', goes: false, why: 'pinned by x' },
        { kind: 'image', repository: 'docker.io/library/a', tag: undefined, digest: 'sha256:2', goes: true },
        { kind: 'image', repository: 'docker.io/library/b', tag: undefined, digest: undefined, goes: true },
        { kind: 'blob', digest: 'sha256:3', bytes: 2048, goes: true },
        { kind: 'blob', digest: 'sha256:4', bytes: 10, goes: false, why: 'ghcr.io/acme/b holds it too' },
        { kind: 'done', dryRun: false, images: 3, kept: 1, blobs: 1, bytes: 2048, ms: 5 },
      ]);
    }
    const at = await scene({ admin: { evict } });
    expect((await at.command('evict', 'a')).out.trimEnd().split('\n')).toEqual([
      'gone: docker.io/library/a:1',
      'stays: docker.io/library/a:2: pinned by x',
      'gone: docker.io/library/a@sha256:2',
      'gone: what no tag of docker.io/library/b leads to',
      'gone: 2.0 KiB of sha256:3',
      'stays: 10 B of sha256:4: ghcr.io/acme/b holds it too',
      'freed 2.0 KiB in 1 files of 3 images, 1 stay',
    ]);
    const lines = (await at.command('evict', 'a', '--dry-run', '--json')).out.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as EvictStep).kind)).toHaveLength(7);
    expect(asked).toEqual([
      { pattern: 'a', dryRun: false },
      { pattern: 'a', dryRun: true },
    ]);
  });

  test('evict --dry-run alone tells what would go next', async () => {
    async function* evict() {
      yield* await Promise.resolve<EvictStep[]>([
        { kind: 'round', due: false, bytes: 2048, files: 0 },
        { kind: 'blob', digest: 'sha256:3', bytes: 2048, goes: true, why: 'last used then' },
        { kind: 'done', dryRun: true, images: 0, kept: 0, blobs: 1, bytes: 2048, ms: 5 },
      ]);
    }
    expect((await (await scene({ admin: { evict } })).command('evict', '--dry-run')).out.trimEnd().split('\n')).toEqual([
      'nothing has to go now; once the high watermark is passed 2.0 KiB will, these first',
      'would go: 2.0 KiB of sha256:3: last used then',
      'would free 2.0 KiB in 1 files',
    ]);
  });

  test('an eviction that ends without its last word was broken off: 1', async () => {
    async function* evict() {}
    const { exit, err } = await (await scene({ admin: { evict } })).command('evict', 'a');
    expect(exit).toBe(1);
    expect(err).toContain('broken off');
  });

  test('pin says so where nothing matches yet; unpin says what it took back', async () => {
    const view = { text: 'docker.io/library/a', by: 'command' } as const;
    const at = await scene({
      admin: { pin: () => Promise.resolve({ ...view, held: false }), unpin: () => Promise.resolve(view) },
    });
    expect(await at.command('pin', 'a')).toEqual({
      exit: 0,
      out: 'docker.io/library/a is pinned\n',
      err: 'note: nothing that is held matches it yet\n',
    });
    expect((await at.command('unpin', 'a')).out).toBe('docker.io/library/a is not pinned any more\n');
    expect(JSON.parse((await at.command('pin', 'a', '--json')).out)).toEqual({ ...view, held: false });
  });

  test('ls of an empty store says so where nobody parses it', async () => {
    async function* ls() {}
    const said = await (await scene({ admin: { ls } })).command('ls', '--json');
    expect(said).toEqual({ exit: 0, out: '', err: 'nothing is held yet\n' });
  });

  test('a store that is not there is not made', async () => {
    const { exit, err } = await (await scene({ stored: false })).command('ls');
    expect(exit).toBe(1);
    expect(err).toContain('there is no /data');
  });
});
