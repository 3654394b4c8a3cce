import { describe, expect, test } from 'vitest';
import { load, refusal, ROUTES } from './load.ts';

/** Keys of the contract that this version does not serve, each as a user would write it, and where its fault stands. */
const LATER: readonly (readonly [yaml: string, place: string])[] = [
  [`http: { tls: { letsencrypt: { hosts: [a.test] } } }\n${ROUTES}`, 'config.yml:1:16: http.tls.letsencrypt'],
  [`storage: { s3: { bucket: b } }\n${ROUTES}`, 'config.yml:1:12: storage.s3'],
  [`storage: inmemory\n${ROUTES}`, 'config.yml:1:10: storage.inmemory'],
];

describe('what later versions bring is an error that says so', () => {
  test.each(LATER)('%s', async (yaml, place) => {
    const message = await refusal(yaml);
    expect(message.split('\n')).toHaveLength(1);
    expect(message.startsWith(`${place}: `)).toBe(true);
    expect(message).toMatch(/is not built/);
  });

  test('what asks for no more than is done is no error', async () => {
    const config = await load(
      'workers: 1\nauth:\nhttp: { http2: { disabled: true }, tls: {} }\ndefaults: { balance: failover, ondelete: keep }\nroutes: [{ match: "**", upstreams: [origin] }]',
    );
    expect(config.workers).toBe(1);
    expect(config.warnings).toEqual([]);
  });
});

test("the contract's example, without what is not built, is understood", async () => {
  const config = await load(CONTRACT, {
    files: { '/run/secrets/hub': 'h', '/run/secrets/a': 'a', '/etc/corp.pem': '-----BEGIN CERTIFICATE-----' },
  });
  expect(config.routes.map(({ name }) => name)).toEqual(['hub', 'registry.k8s.io/**', 'ghcr.io/evil/**', 'well-known']);
  expect(config.names).toMatchObject({ default: 'docker.io', self: ['registry.acme.test'] });
  expect(config.names.hosts).toEqual(
    new Map([
      ['ghcr.mirror.test', 'ghcr.io'],
      ['*.mirror.test', '*'],
    ]),
  );
  expect(config.routes[1]?.policy).toMatchObject({
    immutable: ['v*'],
    tagttl: 300_000,
    stale: Infinity,
    negativettl: 30_000,
    retry: 10_000,
    authttl: 900_000,
  });
  expect(config.http).toMatchObject({
    host: 'https://mirror.example.test',
    trustedproxies: ['10.0.0.0/8'],
    draintimeout: 25_000,
    stalltimeout: 60_000,
  });
  expect(config.warnings).toEqual(['upstreams.corp stands in no route: it is never asked']);
});

export const CONTRACT = `
version: 0.1
http:
  addr: :5000
  host: https://mirror.example.test
  trustedproxies: [10.0.0.0/8]
  debug: { addr: 127.0.0.1:5001, prometheus: { enabled: true, path: /metrics } }
storage:
  filesystem: { rootdirectory: ./data }
metadata: lmdb
names:
  default: docker.io
  self: [registry.acme.test]
  hosts: { ghcr.mirror.test: ghcr.io, "*.mirror.test": "*" }
  prefixes: { hub-proxy: docker.io }
  aliases: { registry.hub.docker.com: docker.io }
credentials:
  docker.io: { username: me, passwordfile: /run/secrets/hub }
upstreams:
  hub-a: { url: https://registry-1.docker.io, username: a, passwordfile: /run/secrets/a, use: quota }
  corp:  { url: https://harbor.corp.test, path: hub-proxy, tls: { ca: /etc/corp.pem }, proxy: none }
defaults: { tagttl: 5m }
routes:
  - match: docker.io/**
    name: hub
    upstreams: [hub-a, origin]
    balance: failover
  - match: registry.k8s.io/**
    upstreams: [origin]
    immutable: ["v*"]
  - match: [ghcr.io/evil/**, "*/*/cryptominer"]
    deny: true
  - match: well-known
    upstreams: [origin]
`;
