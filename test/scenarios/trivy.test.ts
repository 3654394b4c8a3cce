import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { parse } from 'yaml';
import { blobOf, descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob } from '../fakes/images.ts';
import { scenario, type Stage } from './harness.ts';
import { pullAll, refused } from './judged.ts';
import { ALPINE, manifestPath } from './paths.ts';
import { routesTo, type Settings } from './settings.ts';

const at = (name: string): string => fileURLToPath(new URL(`../../deploy/trivy/${name}`, import.meta.url));

/**
 * Stands in for `trivy`: pulls the image that it is given as programs do, manifest and layers, and finds what the script says by the
 * image's digest. What it was called with is in `calls`.
 */
async function standIn({ directory }: Stage, findings: Readonly<Record<string, string>>): Promise<string> {
  const path = join(directory, 'trivy');
  const program = `#!${process.execPath}
const { appendFileSync } = require('node:fs');
const args = process.argv.slice(2);
appendFileSync(${JSON.stringify(join(directory, 'calls'))}, JSON.stringify(args) + '\\n');
const image = args.at(-1);
const [, host, name, digest] = /^([^/]+)\\/(.+)@(.+)$/.exec(image);
const found = ${JSON.stringify(findings)}[digest];
(async () => {
  const get = async (path) => {
    const reply = await fetch('http://' + host + '/v2/' + name + path);
    if (!reply.ok) throw new Error(path + ' answered ' + reply.status);
    return reply;
  };
  const manifest = await (await get('/manifests/' + digest)).json();
  for (const { digest } of [manifest.config, ...manifest.layers]) await (await get('/blobs/' + digest)).arrayBuffer();
  if (found === 'fail') { console.error('FATAL no database'); process.exit(1); }
  if (found === 'junk') return console.log('scanning...');
  if (found === 'empty') return console.log('{}');
  const Vulnerabilities = found === undefined ? undefined : found.split(' ').map((VulnerabilityID) => ({
    VulnerabilityID, PkgName: 'openssl', Severity: VulnerabilityID.startsWith('LOW') ? 'LOW' : 'CRITICAL',
  }));
  console.log(JSON.stringify({ SchemaVersion: 2, ArtifactName: image, Results: [{ Target: image, Vulnerabilities }] }));
})().catch((error) => { console.error(error.message); process.exit(2); });
`;
  await writeFile(path, program);
  await chmod(path, 0o755);
  return path;
}

/** The adapter of `deploy/trivy`, in a process of its own. */
async function startAdapter(stage: Stage, trivy: string): Promise<string> {
  const child = spawn(process.execPath, [at('adapter.mjs')], {
    env: { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: '0', TRIVY: trivy, TRIVY_SERVER: 'http://trivy.test:4954' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  stage.defer(async () => {
    child.kill();
    await once(child, 'exit');
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value } = (await lines.next()) as { value: string };
  return `http://127.0.0.1:${value.replace('listening on ', '')}/`;
}

/** The policy of the example, its adapter being this one. */
async function examplePolicy(url: string): Promise<Settings> {
  const example = parse(await readFile(at('entrepot.yml'), 'utf8')) as { routes: [{ admit: Settings }] };
  return { admit: { ...example.routes[0].admit, url } };
}

scenario(
  'the adapter has Trivy pull what is to be let in, and answers with what it found',
  async (stage) => {
    const { upstream, directory } = stage;
    const image = (tag: string, size: number) => upstream.image(ALPINE, tag, { label: tag, layers: [size] });
    const [good, bad, low, many] = [image('good', 1001), image('bad', 1002), image('low', 1003), image('many', 1004)];
    const broken = ['fail', 'junk', 'empty'].map((what, index) => [what, image(what, 1010 + index)] as const);
    /** As cosign writes signatures; of which only the first has no files. */
    const signatures = [blobOf(Buffer.from('{"critical":{}}')), randomBlob(600)].map((layer) => {
      const config = blobOf(Buffer.from('{}'));
      for (const blob of [config, layer]) upstream.blob(ALPINE, blob);
      return manifestBlob(MEDIA_TYPE.ociManifest, {
        config: descriptorOf(config, MEDIA_TYPE.ociConfig),
        layers: [descriptorOf(layer, 'application/vnd.dev.cosign.simplesigning.v1+json')],
      });
    });
    const chart = manifestBlob(MEDIA_TYPE.ociManifest, {
      config: descriptorOf(randomBlob(10), 'application/vnd.cncf.helm.config.v1+json'),
      layers: [descriptorOf(randomBlob(20), 'application/vnd.cncf.helm.chart.content.v1.tar+gzip')],
    });
    for (const [tag, manifest] of [
      ['sig', signatures[0]!],
      ['fake', signatures[1]!],
      ['chart', chart],
    ] as const)
      upstream.manifest(ALPINE, tag, manifest);
    const trivy = await standIn(stage, {
      [bad.top.digest]: 'CVE-2026-1 CVE-2026-1 LOW-1',
      [low.top.digest]: 'LOW-1',
      [signatures[1]!.digest]: 'CVE-2026-2',
      [many.top.digest]: 'CVE-1 CVE-2 CVE-3 CVE-4 CVE-5 CVE-6 CVE-7',
      ...Object.fromEntries(broken.map(([what, { top }]) => [top.digest, what])),
    });
    const url = await startAdapter(stage, trivy);
    const server = await stage.start(routesTo(upstream, await examplePolicy(url)));
    expect(await pullAll(server, good, 'good')).toEqual([200, 200, 200]);
    expect(await pullAll(server, low, 'low')).toEqual([200, 200, 200]);
    expect(await pullAll(server, bad, 'bad')).toEqual([403, 403, 403]);
    const why = async (tag: string): Promise<string> =>
      (await refused(await server.get(manifestPath(tag))))[1].replace(/^.*@sha256:[0-9a-f]+: /, '');
    expect(await why('bad')).toBe('refused by admit: Trivy found CVE-2026-1 in openssl');
    expect(await why('many')).toMatch(/^refused by admit: Trivy found CVE-1 in openssl, .*CVE-5 in openssl and 2 more$/);
    for (const [what] of broken)
      expect(await why(what)).toBe('admit could not tell whether it may be let in: it answered with status 502');
    for (const tag of ['sig', 'chart']) expect((await server.get(manifestPath(tag))).status).toBe(200);

    const calls = (await readFile(join(directory, 'calls'), 'utf8')).trim().split('\n');
    expect(calls.length).toBe(4 + broken.length);
    expect(await why('fake')).toBe('refused by admit: Trivy found CVE-2026-2 in openssl');
    const [first, ...options] = (JSON.parse(calls[0]!) as string[]).toReversed();
    expect(first).toMatch(new RegExp(`^127.0.0.1:\\d+/admission/[0-9a-f]{32}/docker.io/${ALPINE}@${good.top.digest}$`));
    expect(options.toReversed().join(' ')).toBe(
      'image --server http://trivy.test:4954 --format json --severity CRITICAL --scanners vuln --quiet --ignore-unfixed --insecure --timeout 110s --',
    );

    const post = async (body: string) => (await fetch(url, { method: 'POST', body })).status;
    const pull = 'http://x/';
    for (const wrong of [{}, null, [], { pull, image: `--config=/etc/passwd@${good.top.digest}` }, { pull, image: 'a/b c' }])
      expect(await post(JSON.stringify(wrong))).toBe(400);
    expect([await post('no JSON'), (await fetch(url)).status]).toEqual([400, 405]);
  },
  { settings: null },
);

scenario(
  'a trivy that is not there is no verdict',
  async (stage) => {
    const { upstream } = stage;
    upstream.image(ALPINE, '3');
    const url = await startAdapter(stage, '/nowhere/trivy');
    const server = await stage.start(routesTo(upstream, await examplePolicy(url)));
    expect((await server.get(manifestPath('3'))).status).toBe(503);
  },
  { settings: null },
);
