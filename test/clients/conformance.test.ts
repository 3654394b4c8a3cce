import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { buildImage, blobOf, descriptorOf, manifestBlob, MEDIA_TYPE } from '../fakes/images.ts';
import { scenario, type Stage } from '../scenarios/harness.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import { pushBlob, pushImage, pushManifest } from '../scenarios/push.ts';
import type { Settings } from '../scenarios/settings.ts';
import { conformanceTable } from './conformance-table.ts';
import { conformanceProgram, readResults, runConformance, VARIABLE, type Results } from './conformance.ts';

/**
 * The specification's own suite, every API and all data, against the built program as a plain registry; and what it can do
 * where it may only read, through a mirror of that registry. `npm run conformance` writes the table in README.
 */
const README = join(import.meta.dirname, '../../README.md');
const BLOCK = /<!-- conformance:start -->[\s\S]*<!-- conformance:end -->/;

/** What the suite leaves out unless told to: 1.1 does not ask for these APIs yet, and a registry may refuse sparse manifests. */
const EVERYTHING = {
  OCI_API_BLOBS_DIGEST_HEADER: 'true',
  OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
  OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
  OCI_API_MANIFESTS_TAG_PARAM: 'true',
  OCI_DATA_SPARSE: 'true',
};

/** For manifests that name what is not there. */
const SPARSE = { validation: { manifests: { indexes: { platforms: 'none' }, images: { blobs: 'none' } } } };

const program = conformanceProgram();
const writes = process.env['CONFORMANCE'] === 'write';
const runs: Record<string, Results> = {};

/** A plain registry in a process of its own, as the official one is run with deletions. */
function startRegistry(stage: Stage, more: Settings = {}): Promise<RunningProcess> {
  const storage = { delete: { enabled: true }, filesystem: { rootdirectory: join(stage.directory, 'registry') } };
  return stage.startProcess({ storage, ...more }, { name: 'registry' });
}

async function conform(
  stage: Stage,
  server: RunningProcess,
  version: '1.1' | 'dev',
  settings: Readonly<Record<string, string>>,
): Promise<Results> {
  const directory = join(stage.directory, `results-${version}`);
  await mkdir(directory);
  return runConformance({ program: program!, authority: new URL(server.url).host, version, directory, settings });
}

const leftOut = ({ apis, data }: Results): string[] =>
  Object.entries({ ...apis, ...data })
    .filter(([, verdict]) => verdict !== 'Pass')
    .map(([name, verdict]) => `${name}: ${verdict}`)
    .sort();

/** Not everybody can build the suite: without it all this is skipped, even where all must run, unless its table is wanted. */
function suite(title: string, play: (stage: Stage) => Promise<void>): void {
  const absent = program === undefined ? { whyNot: `${VARIABLE} does not say where the suite's program is` } : {};
  scenario(title, play, { settings: null, timeoutMs: 300_000, optional: !writes, ...absent });
}

describe('what the suite prints', () => {
  const printed = (verdict: string): string =>
    [
      'Test results',
      `OCI Conformance Test: ${verdict}`,
      '  OCI Conformance Test/ping: Pass',
      `  OCI Conformance Test/blobs: ${verdict}`,
      `    OCI Conformance Test/blobs/get: ${verdict}`,
      '     - expected 200, got 404',
      '    OCI Conformance Test/blobs/cancel: Disabled',
      '',
      'Configuration:',
      'API conformance:',
      `  Blob get......................:       ${verdict}`,
      '  Blob upload cancel............:   Disabled',
      '',
      'Data conformance:',
      '  Image.........................:       Pass',
      '',
    ].join('\n');

  test('is read case by case', () => {
    expect(readResults(printed('Pass'))).toEqual({
      apis: { 'Blob get': 'Pass', 'Blob upload cancel': 'Disabled' },
      data: { Image: 'Pass' },
      passed: 2,
      failed: [],
    });
  });

  test.each(['FAIL', 'Error', 'Unknown'])('%s is no pass', (verdict) => {
    const results = readResults(printed(verdict));
    expect(results.apis['Blob get']).toBe(verdict);
    expect([results.passed, results.failed]).toEqual([
      1,
      [`OCI Conformance Test/blobs/get: ${verdict}\n- expected 200, got 404`],
    ]);
  });

  test('a suite that ended before it judged anything has not passed', () => {
    expect(() => readResults('failed to load config')).toThrow('the suite judged nothing: failed to load config');
  });
});

const REPOSITORIES = { OCI_REPO1: 'conformance/one', OCI_REPO2: 'conformance/two' };

describe('the conformance suite of the OCI distribution specification', () => {
  for (const version of ['1.1', 'dev'] as const) {
    suite(`passes whole, every API and all data, version ${version}`, async (stage) => {
      const server = await startRegistry(stage, SPARSE);
      const results = await conform(stage, server, version, { ...EVERYTHING, ...REPOSITORIES });
      runs[version] = results;
      expect(results.failed).toEqual([]);
      expect(leftOut(results)).toEqual([]);
      expect(results.passed).toBeGreaterThan(700);
    });
  }

  suite('passes where nothing is configured, all but sparse manifests', async (stage) => {
    const server = await startRegistry(stage);
    const results = await conform(stage, server, 'dev', REPOSITORIES);
    expect(results.failed).toEqual([]);
    expect(leftOut(results)).toEqual(['Sparse Manifests: Disabled']);
  });
});

/** In the origin, for who may only read. */
async function furnish(origin: RunningProcess): Promise<Readonly<Record<string, string>>> {
  const path = '/v2/team/app';
  const image = buildImage({ layers: [{ 'etc/hello': 'there' }, 300_000], platforms: ['linux/amd64', 'linux/arm64/v8'] });
  for (const tag of ['1', '2', 'latest']) expect((await pushImage(origin, path, tag, image)).status).toBe(201);
  const config = blobOf(Buffer.from('{}'));
  await pushBlob(origin, path, config);
  const signature = manifestBlob(MEDIA_TYPE.ociManifest, {
    config: descriptorOf(config, 'application/vnd.oci.empty.v1+json'),
    layers: [descriptorOf(config, 'application/vnd.oci.empty.v1+json')],
    artifactType: 'application/vnd.example.signature',
    subject: descriptorOf(image.top, image.top.mediaType),
  });
  expect((await pushManifest(origin, path, signature.digest, signature)).status).toBe(201);
  const digests = (all: readonly { readonly digest: string }[]): string => all.map(({ digest }) => digest).join(' ');
  return {
    OCI_REPO1: 'team/app',
    OCI_API_PUSH: 'false',
    OCI_API_BLOBS_DELETE: 'false',
    OCI_API_MANIFESTS_DELETE: 'false',
    OCI_API_TAGS_DELETE: 'false',
    // Of manifests whose bytes it does not know the suite forgets the answer, and misses the header in every one.
    OCI_API_MANIFESTS_DIGEST_HEADER: 'false',
    OCI_RO_DATA_TAGS: '1 2 latest',
    OCI_RO_DATA_MANIFESTS: digests([image.top, ...image.manifests, signature]),
    OCI_RO_DATA_BLOBS: digests([...image.layers, ...image.configs, config]),
    OCI_RO_DATA_REFERRERS: image.top.digest,
  };
}

describe('its read-only part, through a mirror of an Entrepot', () => {
  for (const version of ['1.1', 'dev'] as const) {
    suite(`passes, version ${version}`, async (stage) => {
      const origin = await startRegistry(stage);
      const settings = await furnish(origin);
      const mirror = await stage.startProcess({
        upstreams: { registry: { url: origin.url } },
        routes: [{ match: 'docker.io/**', name: 'mirrored', upstreams: ['registry'] }],
      });
      const results = await conform(stage, mirror, version, settings);
      runs[`${version}, read through a mirror`] = results;
      expect(results.failed).toEqual([]);
      expect(Object.entries({ ...results.apis, ...results.data }).filter(([, verdict]) => /fail|error/i.test(verdict))).toEqual(
        [],
      );
      for (const name of ['Blob get', 'Manifest get by digest', 'Manifest get by tag', 'Referrers', 'Tag listing'])
        expect(results.apis[name], name).toBe('Pass');
      expect((await mirror.metrics()).sum('entrepot_upstream_requests_total')).toBeGreaterThan(0);
    });
  }
});

afterAll(() => {
  if (Object.keys(runs).length > 0) process.stdout.write(`\n${conformanceTable(runs)}\n`);
});

suite('README says what it came to (npm run conformance writes it)', async () => {
  const results = Object.values(runs);
  expect([results.length, results.flatMap(({ failed }) => failed)]).toEqual([4, []]);
  const block = `<!-- conformance:start -->\n\n${conformanceTable(runs)}\n\n<!-- conformance:end -->`;
  const text = await readFile(README, 'utf8');
  if (writes)
    await writeFile(
      README,
      text.replace(BLOCK, () => block),
    );
  const found = BLOCK.exec(await readFile(README, 'utf8'))?.[0];
  expect(found, 'run: npm run conformance').toBe(block);
});
