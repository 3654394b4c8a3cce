import { describe, expect, test } from 'vitest';
import {
  clientConfiguration,
  clientText,
  CONFIGURABLE_CLIENTS,
  printClientConfiguration,
  type ConfigurableClient,
} from '../../../src/admin/client/client-configuration.ts';
import { routedRegistries } from '../../../src/admin/client/registries.ts';

const HTTP = { url: 'http://mirror.test:5000', registries: ['docker.io', 'ghcr.io'], only: false };
const HTTPS = { ...HTTP, url: 'https://mirror.test' };

function filesOf(kind: ConfigurableClient, options: typeof HTTP): Record<string, string> {
  return Object.fromEntries(clientConfiguration(kind, options).files.map(({ path, text }) => [path, text]));
}

describe('docker', () => {
  test('https', () => {
    expect(JSON.parse(filesOf('docker', HTTPS)['/etc/docker/daemon.json'] ?? '')).toEqual({
      'registry-mirrors': ['https://mirror.test'],
    });
  });

  test('http is insecure, and said so', () => {
    expect(JSON.parse(filesOf('docker', HTTP)['/etc/docker/daemon.json'] ?? '')).toEqual({
      'registry-mirrors': ['http://mirror.test:5000'],
      'insecure-registries': ['mirror.test:5000'],
    });
  });

  test.each(['http://127.0.0.1:5000', 'http://localhost:5000', 'http://[::1]:5000'])('%s is insecure by itself', (url) => {
    expect(JSON.parse(filesOf('docker', { ...HTTP, url })['/etc/docker/daemon.json'] ?? '')).toEqual({
      'registry-mirrors': [url],
    });
  });

  test('a slash at the end is dropped; a path ends dockerd before 25, so it is refused', () => {
    expect(filesOf('docker', { ...HTTPS, url: 'https://mirror.test/' })['/etc/docker/daemon.json']).toContain(
      '"https://mirror.test"',
    );
    expect(() => filesOf('docker', { ...HTTPS, url: 'https://mirror.test/cache' })).toThrow(/path/);
  });

  test('it always falls back, so that --only says what to do instead', () => {
    expect(() => filesOf('docker', { ...HTTPS, only: true })).toThrow('docker pull mirror.test/docker.io/library/alpine');
  });

  test('it asks mirrors for docker.io alone', () => {
    expect(() => filesOf('docker', { ...HTTPS, registries: ['ghcr.io'] })).toThrow(/no route serves docker.io/);
  });
});

describe('containerd', () => {
  test('one hosts.toml a registry', () => {
    expect(filesOf('containerd', HTTP)).toEqual({
      '/etc/containerd/certs.d/docker.io/hosts.toml':
        'server = "https://registry-1.docker.io"\n\n[host."http://mirror.test:5000"]\n  capabilities = ["pull", "resolve"]\n',
      '/etc/containerd/certs.d/ghcr.io/hosts.toml':
        'server = "https://ghcr.io"\n\n[host."http://mirror.test:5000"]\n  capabilities = ["pull", "resolve"]\n',
    });
  });

  test('--only leaves no other host to ask', () => {
    expect(filesOf('containerd', { ...HTTPS, only: true })['/etc/containerd/certs.d/docker.io/hosts.toml']).toBe(
      'server = "https://mirror.test"\n\n[host."https://mirror.test"]\n  capabilities = ["pull", "resolve"]\n',
    );
  });

  test('a registry on this machine is asked by http when the mirror fails', () => {
    expect(filesOf('containerd', { ...HTTP, registries: ['127.0.0.1:5001'] })).toEqual({
      '/etc/containerd/certs.d/127.0.0.1:5001/hosts.toml':
        'server = "http://127.0.0.1:5001"\n\n[host."http://mirror.test:5000"]\n  capabilities = ["pull", "resolve"]\n',
    });
  });

  test('it tells where the CRI learns of the directory, in both majors', () => {
    const text = printClientConfiguration(clientConfiguration('containerd', HTTP));
    expect(text).toContain('io.containerd.grpc.v1.cri');
    expect(text).toContain('io.containerd.cri.v1.images');
    expect(text).toContain('ctr images pull --hosts-dir /etc/containerd/certs.d docker.io/library/alpine:latest');
  });
});

describe.each(['podman', 'crio'] as const)('%s', (kind) => {
  const path = '/etc/containers/registries.conf.d/50-entrepot.conf';

  test('the mirror’s location holds the registry, since no ns is sent', () => {
    expect(filesOf(kind, HTTP)).toEqual({
      [path]:
        '[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n\n[[registry.mirror]]\nlocation = "mirror.test:5000/docker.io"\ninsecure = true\n\n' +
        '[[registry]]\nprefix = "ghcr.io"\nlocation = "ghcr.io"\n\n[[registry.mirror]]\nlocation = "mirror.test:5000/ghcr.io"\ninsecure = true\n',
    });
  });

  test('https is not insecure', () => {
    expect(filesOf(kind, HTTPS)[path]).not.toContain('insecure');
  });

  test('--only leads the registry itself to the mirror', () => {
    expect(filesOf(kind, { ...HTTP, registries: ['docker.io'], only: true })[path]).toBe(
      '[[registry]]\nprefix = "docker.io"\nlocation = "mirror.test:5000/docker.io"\ninsecure = true\n',
    );
  });
});

describe('buildkit', () => {
  test('mirrors without scheme; http stands in the mirror’s own section', () => {
    expect(filesOf('buildkit', HTTP)).toEqual({
      '/etc/buildkit/buildkitd.toml':
        '[registry."docker.io"]\n  mirrors = ["mirror.test:5000"]\n\n[registry."ghcr.io"]\n  mirrors = ["mirror.test:5000"]\n\n' +
        '[registry."mirror.test:5000"]\n  http = true\n',
    });
    expect(filesOf('buildkit', HTTPS)['/etc/buildkit/buildkitd.toml']).not.toContain('http = true');
  });

  test('it always falls back, so that --only says what to do instead', () => {
    expect(() => filesOf('buildkit', { ...HTTPS, only: true })).toThrow('FROM mirror.test/docker.io/library/alpine');
  });
});

describe('k3s', () => {
  test('registries.yaml', () => {
    expect(filesOf('k3s', HTTP)).toEqual({
      '/etc/rancher/k3s/registries.yaml':
        'mirrors:\n  "docker.io":\n    endpoint:\n      - "http://mirror.test:5000"\n  "ghcr.io":\n    endpoint:\n      - "http://mirror.test:5000"\n',
    });
  });

  test('an endpoint with a path is used verbatim, so /v2 is written out', () => {
    expect(filesOf('k3s', { ...HTTPS, url: 'https://mirror.test/cache' })['/etc/rancher/k3s/registries.yaml']).toContain(
      '"https://mirror.test/cache/v2"',
    );
  });

  test('--only switches the default endpoint off', () => {
    expect(filesOf('k3s', { ...HTTPS, only: true })['/etc/rancher/k3s/config.yaml.d/50-entrepot.yaml']).toBe(
      'disable-default-registry-endpoint: true\n',
    );
  });
});

describe('every client', () => {
  test.each(CONFIGURABLE_CLIENTS)('%s: files, reload, try, and the same text over HTTP', (kind) => {
    const made = clientConfiguration(kind, HTTPS);
    const text = printClientConfiguration(made);
    for (const file of made.files) expect(text).toContain(`# ${file.path}\n${file.text}`);
    expect(text).toContain(`# reload: ${made.reload}\n`);
    expect(text).toContain(`# try:    ${made.try}\n`);
    expect(clientText(kind, HTTPS.url, HTTPS.registries)).toBe(text);
  });

  test.each([
    'mirror.test:5000',
    'ftp://mirror.test',
    'https://u:p@mirror.test',
    'https://mirror.test/?a=b',
    'https://mirror.test/a"b',
    'http://m"irror',
  ])('%s is refused', (url) => {
    for (const kind of CONFIGURABLE_CLIENTS)
      expect(() => clientConfiguration(kind, { ...HTTPS, url })).toThrow(/address of a mirror/);
  });

  test('there is no text for a client that is not known', () => {
    expect(clientText('rkt', HTTPS.url, HTTPS.registries)).toBeUndefined();
  });
});

test('registries are those that routes name', () => {
  const routes = [
    { match: ['docker.io/**', 'ghcr.io/acme/*'], deny: false },
    { match: ['evil.test/**'], deny: true },
    { match: ['*.gcr.io/**', 'docker.io/library/*', '**'], deny: false },
  ];
  expect(routedRegistries(routes)).toEqual(['docker.io', 'ghcr.io']);
});
