import { describe, expect, test } from 'vitest';
import { createAdmin } from '../../../src/admin/admin.ts';
import { printExplanation } from '../../../src/commands/explain.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { UpstreamError, type Upstream } from '../../../src/upstream/upstream.ts';
import { house, scripted, UNHOSTED, type House } from './house.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const NOBODY = new AbortController().signal;
const LOST = `sha256:${'0'.repeat(64)}` as Digest;

function manifestOf(config: Digest, layers: readonly Digest[]): string {
  const layer = 'application/vnd.oci.image.layer.v1.tar+gzip';
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size: 2 },
    layers: layers.map((digest) => ({ mediaType: layer, digest, size: 2 })),
  });
}

/** alpine:latest, an index of two platforms: amd64 with one layer missing, arm64 not held. */
function holdAlpine(at: House): Digest {
  const { held, names } = at;
  const amd64 = held.hold(manifestOf(held.hold('{}'), [held.hold('layer'), LOST]));
  const manifests = [
    { mediaType: MANIFEST, digest: amd64, size: 2, platform: { os: 'linux', architecture: 'amd64' } },
    { mediaType: MANIFEST, digest: LOST, size: 2, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
  ];
  const index = held.hold(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
  const record = { digest: index, mediaType: INDEX, size: 1, checked: 940_000, upstream: 'hub-a' };
  names.tags.set('docker.io/library/alpine', new Map([['latest', record]]));
  names.links.add(`docker.io/library/alpine ${index}`);
  return index;
}

describe('explain', () => {
  test('tells platforms, missing blobs, age and ttl', async () => {
    const at = house();
    const index = holdAlpine(at);
    const { held, route, registry, repository, access } = await createAdmin(at).explain('alpine', NOBODY);
    expect({ registry, repository, access }).toEqual({
      registry: 'docker.io',
      repository: 'library/alpine',
      access: 'everybody: no auth is configured',
    });
    expect(route).toEqual({ name: 'hub', at: 'config.yml:12', deny: false, offline: false, push: false, chain: ['hub-a'] });
    expect(held).toMatchObject({
      digest: index,
      manifestHeld: true,
      pulls: 3,
      tag: { ageMs: 60_000, ttlMs: 240_000, upstream: 'hub-a' },
      platforms: [
        { platform: 'linux/amd64', manifestHeld: true, blobs: 3, missing: [LOST] },
        { platform: 'linux/arm64/v8', manifestHeld: false, blobs: 0, missing: [] },
      ],
    });
  });

  test('bytes that another repository brought are not told of (promise 9)', async () => {
    const at = house();
    const index = holdAlpine(at);
    const { held } = await createAdmin(at).explain(`other/name@${index}`, NOBODY);
    expect(held).toMatchObject({ manifestHeld: false, platforms: [] });
  });

  test('every upstream is asked, and nobody’s failure hides another’s answer', async () => {
    const chain = [
      scripted('down', () => Promise.reject(new UpstreamError('down', 'connect', 'down: connection refused'))),
      scripted('limited', () => Promise.resolve({ kind: 'limited', retryAfterSeconds: 60 })),
      scripted('empty', () => Promise.resolve({ kind: 'absent', hint: 'signing in may be needed' })),
    ];
    const at = house({ routeOf: () => ({ name: 'hub', at: undefined, deny: false, ...UNHOSTED, chain, tagttlMs: 1 }) });
    const { answers } = await createAdmin(at).explain('alpine', NOBODY);
    expect(answers.map(({ upstream, answer, message }) => [upstream, answer, message])).toEqual([
      ['down', 'failed', 'connect: down: connection refused'],
      ['limited', 'limited', 'its rate limit is spent for 60 s'],
      ['empty', 'absent', 'signing in may be needed'],
    ]);
  });

  test('an upstream that says nothing is given up, and no timer stays', async () => {
    const silent = scripted(
      'silent',
      (_request, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('cut')))),
    );
    const at = house({
      routeOf: () => ({ name: 'hub', at: undefined, deny: false, ...UNHOSTED, chain: [silent], tagttlMs: 1 }),
    });
    const explained = createAdmin(at).explain('alpine', NOBODY);
    await at.clock.advance(10_000);
    expect((await explained).answers).toMatchObject([{ answer: 'failed', message: 'no answer within 10 s' }]);
    expect(at.clock.pending()).toBe(0);
  });

  test('a route that denies asks nobody', async () => {
    const never = scripted('never', () => expect.unreachable());
    const at = house({ routeOf: () => ({ name: 'evil', at: 'c:1', deny: true, ...UNHOSTED, chain: [never], tagttlMs: 1 }) });
    expect(await createAdmin(at).explain('alpine', NOBODY)).toMatchObject({
      answers: [],
      access: 'nobody: the route denies it',
    });
  });
});

describe('hosted', () => {
  const hosted = { ...UNHOSTED, name: 'mixed', at: 'c:1', deny: false, hosted: true, push: true, tagttlMs: 1 };
  const routeOf = (chain: readonly Upstream[]) => () => ({ ...hosted, chain, names: ['hosted', 'hub-a'] });
  const never = scripted('never', () => expect.unreachable());
  const absent = scripted('hub-a', () => Promise.resolve({ kind: 'absent' }));

  test('of what is hosted no upstream hears, and no tag of it ages', async () => {
    const at = house({ routeOf: routeOf([never]) });
    holdAlpine(at);
    at.names.owned.add('docker.io/library/alpine');
    const found = await createAdmin(at).explain('alpine', NOBODY);
    expect(found).toMatchObject({
      hosted: { by: 'push', since: '1970-01-01T00:08:20.000Z' },
      route: { chain: ['hosted', 'hub-a'], push: true },
      answers: [],
      held: { tag: { ttlMs: undefined } },
    });
    expect(printExplanation(found)).toContain(
      'hosted: pushed here since 1970-01-01T00:08:20.000Z: nobody else answers for it; takes pushes\n',
    );
  });

  test('of a mixed chain the others answer for what was not pushed, and are asked', async () => {
    const found = await createAdmin(house({ routeOf: routeOf([absent]) })).explain('alpine', NOBODY);
    expect(found).toMatchObject({ hosted: { by: undefined }, answers: [{ upstream: 'hub-a' }] });
    expect(printExplanation(found)).toContain(
      'hosted: nothing was pushed under this name: the others of the chain answer for it',
    );
  });

  test('nobody does where it is alone', async () => {
    const at = house({ routeOf: () => ({ ...hosted, alone: true, push: false, chain: [], names: ['hosted'] }) });
    expect(printExplanation(await createAdmin(at).explain('alpine', NOBODY))).toContain(
      'hosted: nothing was pushed under this name: nobody answers for it; takes no pushes\n',
    );
  });

  test('ls says whose a repository is', async () => {
    const at = house();
    holdAlpine(at);
    const owners = async (): Promise<unknown[]> => {
      const found: unknown[] = [];
      for await (const { owner } of createAdmin(at).ls(undefined)) found.push(owner);
      return found;
    };
    expect(await owners()).toEqual([undefined]);
    at.names.owned.add('docker.io/library/alpine');
    expect(await owners()).toEqual(['push']);
  });

  describe('disown', () => {
    const refused = (at: House, name: string): Promise<string> =>
      createAdmin(at)
        .disown(name)
        .then(
          () => 'disowned',
          (error: Error) => error.message,
        );

    test('gives a repository back to the rest of its chain, once', async () => {
      const at = house({ routeOf: routeOf([absent]) });
      at.names.owned.add('docker.io/library/alpine');
      expect(await createAdmin(at).disown('alpine')).toEqual({ repository: 'docker.io/library/alpine', chain: ['hub-a'] });
      expect(await refused(at, 'alpine')).toContain('docker.io/library/alpine is not hosted here');
    });

    test('destroys nothing for which nobody would answer then', async () => {
      const alone = () => ({ ...hosted, alone: true, chain: [], names: ['hosted'] });
      for (const route of [alone, () => undefined]) {
        const at = house({ routeOf: route });
        at.names.owned.add('docker.io/library/alpine');
        expect(await refused(at, 'alpine')).toContain('nobody else would answer for docker.io/library/alpine');
        expect(at.names.owned.size).toBe(1);
      }
    });

    test('is of whole repositories', async () => {
      const at = house({ routeOf: routeOf([absent]) });
      at.names.owned.add('docker.io/library/alpine');
      expect(await refused(at, 'alpine:3')).toContain('a repository is given back whole');
      expect(await refused(at, `alpine@sha256:${'a'.repeat(64)}`)).toContain('a repository is given back whole');
      expect(at.names.owned.size).toBe(1);
    });
  });
});

describe('ls', () => {
  async function list(at: House, pattern?: string): Promise<string[]> {
    const lines: string[] = [];
    for await (const { repository, tag } of createAdmin(at).ls(pattern)) lines.push(`${repository}:${tag}`);
    return lines;
  }

  test('lists everything, beyond a page', async () => {
    const at = house();
    holdAlpine(at);
    const held = [...(at.names.tags.get('docker.io/library/alpine')?.values() ?? [])];
    const many = Array.from({ length: 1201 }, (_, tag) =>
      held.map((record) => [String(tag).padStart(5, '0'), record] as const),
    ).flat();
    at.names.tags.set('ghcr.io/acme/tool', new Map(many));
    expect(await list(at)).toHaveLength(1202);
    expect(await list(at, 'ghcr.io/**:0000*')).toHaveLength(10);
    expect(await list(at, 'docker.io/**')).toEqual(['docker.io/library/alpine:latest']);
    expect(await list(at, 'alpine')).toEqual(['docker.io/library/alpine:latest']);
    expect(await list(at, 'alpine:latest')).toEqual(['docker.io/library/alpine:latest']);
  });

  test('what matches nothing is a fault that names it', async () => {
    const at = house();
    await expect(list(at, 'alpine:3')).rejects.toThrow('nothing that is held matches alpine:3');
    expect(await list(at)).toEqual([]);
  });
});

describe('status', () => {
  test('shows the ratio of hits, and trouble as a warning', async () => {
    const records = { ping: () => Promise.reject(new Error('connection refused')) };
    const at = house({ records: records as never, logDropped: () => 2, warnings: () => ['http.addr waits for a restart'] });
    for (const outcome of ['hit', 'stale', 'miss', 'error'] as const) {
      at.recent.onRequest({ ...(await import('../observe/recorder.ts')).requestEvent({}, { type: 'blob', outcome }) });
    }
    expect(await createAdmin(at).status()).toMatchObject({
      version: '1.2.3',
      uptimeMs: 600_000,
      disk: { freeBytes: 50, totalBytes: 100 },
      hitRatio: { blob: 2 / 3, manifest: undefined },
      warnings: [
        'http.addr waits for a restart',
        expect.stringContaining('2 log records'),
        'the metadata store does not answer: connection refused',
      ],
    });
  });
});

describe('refresh', () => {
  test('names the tag by its full name', async () => {
    expect(await createAdmin(house()).refresh('alpine')).toEqual({
      outcome: 'unchanged',
      image: 'docker.io/library/alpine:latest',
    });
  });

  test('a digest never changes', async () => {
    await expect(createAdmin(house()).refresh(`alpine@${LOST}`)).rejects.toThrow(/name a tag/);
  });
});
