import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { blobOf } from '../fakes/images.ts';
import { withRegistry } from './plain-registry.ts';
import { run } from './program.ts';

/** A chart's directory, with nothing in it that a cluster would need. */
async function writeChart(directory: string): Promise<string> {
  const chart = join(directory, 'chart');
  await mkdir(join(chart, 'templates'), { recursive: true });
  await writeFile(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: sails\nversion: 1.2.3+main\n');
  await writeFile(join(chart, 'templates/wind.yaml'), 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: wind }\n');
  return chart;
}

describe('Helm', () => {
  withRegistry('pushes a chart, and pulls it, there and through a mirror', ['helm', 'crane'], async (registry) => {
    const { authority, place, startMirror } = registry;
    const directory = await place('helm');
    const helm = (...args: string[]): Promise<string> => run('helm', args, { env: { HOME: directory } });
    await helm('package', '--destination', directory, await writeChart(directory));
    const file = 'sails-1.2.3+main.tgz';
    await helm('push', '--plain-http', join(directory, file), `oci://${authority}/charts`);
    const chart = blobOf(await readFile(join(directory, file)));
    // A tag takes no plus sign: Helm writes an underscore.
    expect(JSON.parse(await run('crane', ['manifest', `${authority}/charts/sails:1.2.3_main`]))).toMatchObject({
      config: { mediaType: 'application/vnd.cncf.helm.config.v1+json' },
      layers: [{ mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', digest: chart.digest }],
    });
    for (const from of [authority, await startMirror()]) {
      const pulled = await place(`pulled-${from.replace(':', '-')}`);
      // A range of versions: it looks among the tags.
      await helm('pull', '--plain-http', `oci://${from}/charts/sails`, '--version', '1.x', '--destination', pulled);
      expect(blobOf(await readFile(join(pulled, file))).digest).toBe(chart.digest);
    }
  });
});
