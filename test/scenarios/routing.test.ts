import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createScriptedUpstream, type ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { startHere, type RunningHere } from './in-process.ts';
import { codeOf } from './paths.ts';
import { baseSettings, type Settings } from './settings.ts';

/** Every upstream of the table, and what stands in its address or before its repositories. */
const UPSTREAMS = {
  hub: {},
  acme: {},
  harbor: { path: 'hub-proxy' },
  parent: { ns: true },
  deep: { path: 'team/mirror', ns: true },
  first: {},
  second: {},
  based: {},
  every: { path: 'mirror/{registry}' },
} as const;

type Name = keyof typeof UPSTREAMS;

const NAMES: Settings = {
  default: 'docker.io',
  self: ['registry.acme.test'],
  hosts: { 'ghcr.mirror.test': 'ghcr.io', '*.mirror.test': '*', 'quay.mirror.test:8443': 'quay.io' },
  prefixes: { 'hub-proxy': 'docker.io', quay: 'quay.io' },
  aliases: { 'registry.hub.docker.com': 'docker.io', 'old.acme.test': 'registry.acme.test' },
};

const ROUTES: readonly Settings[] = [
  { match: ['docker.io/evil/**', '*/*/cryptominer'], name: 'denied', deny: true },
  { match: 'docker.io/acme/**', name: 'acme', upstreams: ['acme'] },
  { match: ['docker.io/library/alpine', 'docker.io/library/busy*'], name: 'some', upstreams: ['harbor'] },
  { match: 'docker.io/vault/**', name: 'vault', offline: true },
  { match: 'docker.io/**', name: 'hub', upstreams: ['hub'] },
  { match: 'quay.io/*/*', name: 'quay', upstreams: ['parent'] },
  { match: 'quay.io/**', name: 'quay, deeper', upstreams: ['deep'] },
  { match: 'ghcr.io/**', name: 'ghcr', upstreams: ['first', 'second'] },
  { match: ['gcr.io/**', 'mcr.microsoft.com/**'], name: 'every', upstreams: ['every'] },
  { match: 'localhost:5001/**', name: 'local', upstreams: ['based'] },
  { match: '*.pkg.test/**', name: 'packages', upstreams: ['second'] },
  { match: 'registry.acme.test/**', name: 'own', upstreams: ['deep'] },
];

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** What is asked, as `PATH` or `PATH @HOST`, and who is asked for what; or the refusal, and nobody is. */
type Row = readonly [ask: string, answer: string];

const TABLE: Readonly<Record<string, readonly Row[]>> = {
  'one organisation to one upstream, the rest to another': [
    ['/v2/docker.io/acme/app/manifests/1', 'acme /v2/acme/app/manifests/1'],
    ['/v2/acme/app/manifests/2', 'acme /v2/acme/app/manifests/2'],
    ['/v2/acme/app/manifests/3?ns=docker.io', 'acme /v2/acme/app/manifests/3'],
    ['/v2/docker.io/acme/a/b/c/manifests/1', 'acme /v2/acme/a/b/c/manifests/1'],
    [`/v2/acme/app/manifests/${DIGEST}`, `acme /v2/acme/app/manifests/${DIGEST}`],
    [`/v2/acme/app/blobs/${DIGEST}`, `acme /v2/acme/app/blobs/${DIGEST}`],
    ['/v2/acme/app/tags/list', 'acme /v2/acme/app/tags/list'],
    ['/v2/acme/app/tags/list?n=5&last=a', 'acme /v2/acme/app/tags/list?n=5&last=a'],
    ['/v2/docker.io/acmes/app/manifests/1', 'hub /v2/acmes/app/manifests/1'],
    ['/v2/docker.io/other/acme/manifests/1', 'hub /v2/other/acme/manifests/1'],
    ['/v2/docker.io/other/app/manifests/1', 'hub /v2/other/app/manifests/1'],
    [`/v2/other/app/blobs/${DIGEST}`, `hub /v2/other/app/blobs/${DIGEST}`],
    ['/v2/other/app/tags/list', 'hub /v2/other/app/tags/list'],
    // A repository that is called as the organisation is, is one of library/.
    ['/v2/acme/manifests/1', 'hub /v2/library/acme/manifests/1'],
  ],
  'docker.io by any of its names': [
    ['/v2/ubuntu/manifests/1', 'hub /v2/library/ubuntu/manifests/1'],
    ['/v2/library/ubuntu/manifests/2', 'hub /v2/library/ubuntu/manifests/2'],
    ['/v2/docker.io/ubuntu/manifests/3', 'hub /v2/library/ubuntu/manifests/3'],
    ['/v2/docker.io/library/ubuntu/manifests/4', 'hub /v2/library/ubuntu/manifests/4'],
    ['/v2/index.docker.io/library/ubuntu/manifests/5', 'hub /v2/library/ubuntu/manifests/5'],
    ['/v2/registry-1.docker.io/ubuntu/manifests/6', 'hub /v2/library/ubuntu/manifests/6'],
    ['/v2/registry.hub.docker.com/ubuntu/manifests/7', 'hub /v2/library/ubuntu/manifests/7'],
    ['/v2/hub-proxy/library/ubuntu/manifests/8', 'hub /v2/library/ubuntu/manifests/8'],
    ['/v2/hub-proxy/acme/app/manifests/8', 'acme /v2/acme/app/manifests/8'],
    ['/docker.io/v2/ubuntu/manifests/9', 'hub /v2/library/ubuntu/manifests/9'],
    ['/v2/docker.io/ubuntu/manifests/10?ns=docker.io', 'hub /v2/library/ubuntu/manifests/10'],
    ['/v2/ubuntu/manifests/11?ns=registry-1.docker.io', 'hub /v2/library/ubuntu/manifests/11'],
    ['/v2/ubuntu/manifests/12 @docker.io.mirror.test', 'hub /v2/library/ubuntu/manifests/12'],
    ['/v2/ubuntu/manifests/13 @mirror.example.test:5000', 'hub /v2/library/ubuntu/manifests/13'],
  ],
  'a prefix that the upstream wants is put before the repository': [
    ['/v2/alpine/manifests/1', 'harbor /v2/hub-proxy/library/alpine/manifests/1'],
    ['/v2/docker.io/library/alpine/manifests/2', 'harbor /v2/hub-proxy/library/alpine/manifests/2'],
    [`/v2/library/alpine/blobs/${DIGEST}`, `harbor /v2/hub-proxy/library/alpine/blobs/${DIGEST}`],
    ['/v2/alpine/tags/list', 'harbor /v2/hub-proxy/library/alpine/tags/list'],
    ['/v2/busybox/manifests/1', 'harbor /v2/hub-proxy/library/busybox/manifests/1'],
    ['/v2/alpine2/manifests/1', 'hub /v2/library/alpine2/manifests/1'],
    ['/v2/library/alpine/sub/manifests/1', 'hub /v2/library/alpine/sub/manifests/1'],
    ['/v2/quay.io/a/b/c/manifests/1', 'deep /v2/team/mirror/a/b/c/manifests/1?ns=quay.io'],
    ['/v2/quay.io/a/manifests/1', 'deep /v2/team/mirror/a/manifests/1?ns=quay.io'],
    ['/v2/quay.io/a/b/c/tags/list?n=2', 'deep /v2/team/mirror/a/b/c/tags/list?n=2&ns=quay.io'],
    ['/v2/gcr.io/a/b/manifests/1', 'every /v2/mirror/gcr.io/a/b/manifests/1'],
    ['/v2/dotnet/sdk/manifests/1?ns=mcr.microsoft.com', 'every /v2/mirror/mcr.microsoft.com/dotnet/sdk/manifests/1'],
    [`/v2/a/blobs/${DIGEST} @gcr.io.mirror.test`, `every /v2/mirror/gcr.io/a/blobs/${DIGEST}`],
    ['/v2/gcr.io/google.com/tool/tags/list', 'every /v2/mirror/gcr.io/google.com/tool/tags/list'],
    ['/v2/localhost:5001/x/y/manifests/1', 'based /base/path/v2/x/y/manifests/1'],
    ['/v2/x/manifests/1?ns=localhost:5001', 'based /base/path/v2/x/manifests/1'],
  ],
  'a parent that serves every registry is told which': [
    ['/v2/quay.io/a/b/manifests/1', 'parent /v2/a/b/manifests/1?ns=quay.io'],
    ['/v2/a/b/manifests/2?ns=quay.io', 'parent /v2/a/b/manifests/2?ns=quay.io'],
    ['/v2/quay/a/b/manifests/3', 'parent /v2/a/b/manifests/3?ns=quay.io'],
    ['/v2/a/b/manifests/4 @quay.io.mirror.test', 'parent /v2/a/b/manifests/4?ns=quay.io'],
    ['/v2/a/b/manifests/5 @quay.mirror.test:8443', 'parent /v2/a/b/manifests/5?ns=quay.io'],
    ['/v2/quay.io/a/b/manifests/6?ns=quay.io', 'parent /v2/a/b/manifests/6?ns=quay.io'],
    [`/v2/quay.io/a/b/blobs/${DIGEST}`, `parent /v2/a/b/blobs/${DIGEST}?ns=quay.io`],
    ['/v2/library/ubuntu/manifests/7?ns=quay.io', 'parent /v2/library/ubuntu/manifests/7?ns=quay.io'],
  ],
  'a chain is asked in its order': [
    ['/v2/ghcr.io/org/x/manifests/1', 'first /v2/org/x/manifests/1, second /v2/org/x/manifests/1'],
    ['/v2/org/x/manifests/2 @ghcr.mirror.test', 'first /v2/org/x/manifests/2, second /v2/org/x/manifests/2'],
    ['/v2/org/x/manifests/3 @GHCR.mirror.test:80', 'first /v2/org/x/manifests/3, second /v2/org/x/manifests/3'],
    ['/v2/ghcr.io/x/manifests/4', 'first /v2/x/manifests/4, second /v2/x/manifests/4'],
    [`/v2/ghcr.io/org/x/blobs/${DIGEST}`, `first /v2/org/x/blobs/${DIGEST}, second /v2/org/x/blobs/${DIGEST}`],
    // A host's registry is said once: another one's name is part of the repository.
    ['/v2/docker.io/x/manifests/5 @ghcr.mirror.test', 'first /v2/docker.io/x/manifests/5, second /v2/docker.io/x/manifests/5'],
    ['/v2/ghcr.io/x/manifests/6 @ghcr.mirror.test', 'first /v2/x/manifests/6, second /v2/x/manifests/6'],
    ['/v2/a/manifests/1?ns=eu.pkg.test', 'second /v2/a/manifests/1'],
    ['/v2/us.pkg.test/a/b/manifests/2', 'second /v2/a/b/manifests/2'],
    ['/v2/team/app/manifests/1 @registry.acme.test', 'deep /v2/team/mirror/team/app/manifests/1?ns=registry.acme.test'],
    ['/v2/old.acme.test/team/app/manifests/2', 'deep /v2/team/mirror/team/app/manifests/2?ns=registry.acme.test'],
  ],
  'denied: 403, and nobody is asked': [
    ['/v2/docker.io/evil/app/manifests/1', '403 DENIED'],
    ['/v2/evil/app/manifests/1', '403 DENIED'],
    ['/v2/evil/app/manifests/1?ns=index.docker.io', '403 DENIED'],
    ['/v2/hub-proxy/evil/app/manifests/1', '403 DENIED'],
    ['/v2/evil/a/b/tags/list', '403 DENIED'],
    [`/v2/evil/app/blobs/${DIGEST}`, '403 DENIED'],
    [`/v2/evil/app/referrers/${DIGEST}`, '403 DENIED'],
    ['/v2/acme/cryptominer/manifests/1', '403 DENIED'],
    ['/v2/ghcr.io/any/cryptominer/manifests/1', '403 DENIED'],
    // Also where no route leads: it is the pattern that denies.
    ['/v2/unrouted.test/any/cryptominer/manifests/1', '403 DENIED'],
    // One segment is not two, and what begins so is not it.
    ['/v2/any/deeper/cryptominer/manifests/1', 'hub /v2/any/deeper/cryptominer/manifests/1'],
    ['/v2/any/cryptominer2/manifests/1', 'hub /v2/any/cryptominer2/manifests/1'],
    ['/v2/evils/app/manifests/1', 'hub /v2/evils/app/manifests/1'],
  ],
  'no route, no name, nobody asked': [
    ['/v2/unrouted.test/a/b/manifests/1', '404 NAME_UNKNOWN'],
    ['/v2/a/b/manifests/1?ns=unrouted.test', '404 NAME_UNKNOWN'],
    ['/v2/a/b/manifests/1 @unrouted.test.mirror.test', '404 NAME_UNKNOWN'],
    ['/v2/localhost:5002/x/manifests/1', '404 NAME_UNKNOWN'],
    ['/v2/pkg.test/a/manifests/1', '404 NAME_UNKNOWN'],
    ['/v2/127.0.0.1/a/manifests/1', '404 NAME_UNKNOWN'],
    ['/v2/169.254.169.254/latest/manifests/1', '404 NAME_UNKNOWN'],
    ['/v2/vault/app/manifests/1', '404 MANIFEST_UNKNOWN'],
    [`/v2/vault/app/blobs/${DIGEST}`, '404 BLOB_UNKNOWN'],
    ['/v2/ACME/app/manifests/1', '400 NAME_INVALID'],
    ['/v2/acme/../evil/manifests/1', '400 NAME_INVALID'],
    ['/v2/acme%2f..%2fevil/manifests/1', '400 NAME_INVALID'],
    ['/v2/acme//app/manifests/1', '400 NAME_INVALID'],
    ['/v2/acme/app/manifests/1?ns=docker.io&ns=quay.io', '400 NAME_INVALID'],
    ['/v2/acme/app/manifests/1?ns=http://quay.io', '400 NAME_INVALID'],
    ['/v2/acme/app/manifests/sha256:0', '400 DIGEST_INVALID'],
  ],
};

const rows = Object.entries(TABLE).flatMap(([title, entries]) => entries.map((row) => [title, ...row] as const));

let directory: string;
let server: RunningHere;
const upstreams = new Map<Name, ScriptedUpstream>();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'entrepot-routing-'));
  const written: Record<string, Settings> = {};
  for (const [name, options] of Object.entries(UPSTREAMS) as [Name, Settings][]) {
    const upstream = await createScriptedUpstream();
    upstreams.set(name, upstream);
    written[name] = { url: name === 'based' ? `${upstream.url}/base/path` : upstream.url, ...options };
  }
  const settings = { names: NAMES, upstreams: written, defaults: { negativettl: '0s' }, routes: ROUTES };
  server = await startHere(baseSettings(directory, settings), directory);
});

afterAll(async () => {
  await server.stop();
  for (const upstream of upstreams.values()) await upstream.close();
  await rm(directory, { recursive: true, force: true });
});

describe('[line 6] routing: who is asked for what', () => {
  test('the table has more than sixty rows, each of them another question', () => {
    expect(rows.length).toBeGreaterThan(60);
    expect(new Set(rows.map(([, ask]) => ask)).size).toBe(rows.length);
  });

  test.each(rows)('%s: %s → %s', async (_title, ask, answer) => {
    for (const upstream of upstreams.values()) upstream.forget();
    const [path = '', host] = ask.split(' @');
    const reply = await server.get(path, host === undefined ? {} : { headers: { host } });
    const asked = [...upstreams].flatMap(([name, { requests }]) => requests.map(({ url }) => `${name} ${url}`));
    const refused = `${reply.status} ${await codeOf(reply)}`;
    // Nothing is there upstream: what is asked is a 404 all the same.
    expect(asked.length > 0 && reply.status === 404 ? asked.join(', ') : refused).toBe(answer);
  });
});
