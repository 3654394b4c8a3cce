import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/config/load.ts';
import { METRICS } from '../../../src/observe/metric-table.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';

const ROOT = join(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}
interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
  readonly templating: { readonly list: readonly { readonly query: unknown }[] };
}

const rules = parse(read('deploy/prometheus/alerts.yml')) as Rules;
const dashboard = JSON.parse(read('deploy/grafana/dashboards/entrepot.json')) as Dashboard;

const expressions: readonly (readonly [string, string])[] = [
  ...rules.groups.flatMap(({ rules: each }) => each.map(({ alert, expr }) => [`alert ${alert}`, expr] as const)),
  ...dashboard.panels.flatMap(({ title, targets }) => (targets ?? []).map(({ expr }) => [`panel ${title}`, expr] as const)),
  ...dashboard.templating.list.map(({ query }) => ['variable', JSON.stringify(query)] as const),
];

/** Names that the exposition has, a histogram's three series among them. */
async function exported(): Promise<Set<string>> {
  const text = await createMetrics({ version: '0', processMetrics: true }).text();
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
}

describe('deploy', () => {
  test.each(expressions)('%s uses only metrics that exist: %s', async (_where, expr) => {
    const known = await exported();
    const used = expr.match(/\b(?:entrepot|registry|process|nodejs)_[a-z0-9_]+/g) ?? [];
    for (const name of used) expect(known).toContain(name);
  });

  test.each(expressions)('%s asks only for labels that its metrics have: %s', (_where, expr) => {
    for (const [, name = '', selector = ''] of expr.matchAll(/\b((?:entrepot|registry)_[a-z0-9_]+)\{([^}]*)\}/g)) {
      const metric =
        METRICS[name.replace(/_(bucket|sum|count)$/, '') as keyof typeof METRICS] ?? METRICS[name as keyof typeof METRICS];
      const labels = [...selector.matchAll(/([a-z_]+)\s*=~?/g)].map(([, label = '']) => label);
      for (const label of labels) expect([...metric.labels, 'instance', 'job', 'le']).toContain(label);
    }
  });

  test('there is something to hold', () => {
    expect(expressions.length).toBeGreaterThan(30);
  });

  test.each([
    ['deploy/image/config.yml', {}],
    ['deploy/image/proxy.yml', { REGISTRY_PROXY_REMOTEURL: 'https://registry-1.docker.io' }],
    ['deploy/entrepot.yml', {}],
    ['deploy/trigger/entrepot.yml', { HOOK_SECRET: 'x' }],
    ['deploy/caddy/entrepot.yml', { MIRROR_HOST: 'mirror.test' }],
    ['deploy/trivy/entrepot.yml', {}],
  ])('%s is a configuration without a warning', async (path, env) => {
    const readFile = (asked: string): Promise<string> => Promise.resolve(readFileSync(asked, 'utf8'));
    const config = await loadConfig({ argument: path, env, directory: ROOT, readFile });
    expect(config.warnings).toEqual([]);
    expect(config.http.debug?.addr.port).toBe(5001);
    expect(config.http.debug?.metricsPath).toBe('/metrics');
  });

  test('the Kubernetes ConfigMap holds a configuration too', async () => {
    const map = parse(read('deploy/kubernetes/entrepot.yml').split('\n---\n')[0] ?? '') as { data: Record<string, string> };
    const readFile = (): Promise<string | undefined> => Promise.resolve(map.data['config.yml']);
    const config = await loadConfig({ argument: 'config.yml', env: {}, directory: ROOT, readFile });
    expect(config.warnings).toEqual([]);
  });

  test.each(['deploy/compose.yml', 'deploy/trigger/compose.yml', 'deploy/caddy/compose.yml', 'deploy/trivy/compose.yml'])(
    '%s mounts files that are there',
    (path) => {
      const { services } = parse(read(path)) as {
        services: Readonly<Record<string, { readonly volumes?: readonly string[] }>>;
      };
      const mounted = Object.values(services).flatMap(({ volumes = [] }) =>
        volumes.map((volume) => volume.split(':')[0] ?? ''),
      );
      const files = mounted.filter((file) => file.startsWith('./'));
      expect(files.length).toBeGreaterThan(0);
      for (const file of files) expect(existsSync(join(ROOT, path, '..', file)), file).toBe(true);
    },
  );

  test('only the proxy in front is believed', async () => {
    const { services } = parse(read('deploy/caddy/compose.yml')) as {
      services: Readonly<Record<string, { readonly networks: { readonly inner: { readonly ipv4_address: string } } }>>;
    };
    const { http } = parse(read('deploy/caddy/entrepot.yml')) as { http: { readonly trustedproxies: readonly string[] } };
    expect(http.trustedproxies).toEqual([services['caddy']?.networks.inner.ipv4_address]);
  });

  test('every file that the image copies is there', () => {
    const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, files = '']) =>
      files.split(' '),
    );
    expect(copied).toContain('deploy/image/entrypoint.sh');
    for (const file of copied) {
      const at = file.replace(/^\.\//, '');
      const directory = join(ROOT, at, '..');
      expect(readdirSync(directory), file).toContain(at.split('/').at(-1));
    }
  });
});
