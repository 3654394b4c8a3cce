import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { blobOf } from '../fakes/images.ts';
import { skopeo } from './containers.ts';
import { withRegistry } from './plain-registry.ts';
import { run } from './program.ts';

const THING = 'application/vnd.example.thing';
const SBOM = 'application/vnd.example.sbom';

/** Takes files by relative paths alone: it runs where they are. */
async function orasIn(directory: string): Promise<(...args: string[]) => Promise<string>> {
  await writeFile(join(directory, 'thing.txt'), 'a thing\n');
  await writeFile(join(directory, 'sbom.json'), '{"made":"of this"}\n');
  return (...args) => run('oras', args, { cwd: directory, env: { HOME: directory } });
}

/** What refers to `name`, as oras finds it. */
async function referrers(oras: (...args: string[]) => Promise<string>, name: string): Promise<unknown> {
  const said = await oras('discover', '--plain-http', '--format', 'json', name);
  return (JSON.parse(said) as { manifests: { digest: string }[] }).manifests.map(({ digest }) => digest);
}

describe('oras', () => {
  const programs = ['oras', 'crane', 'skopeo'];
  withRegistry('attaches to an artifact, copies both, and others read them', programs, async (registry) => {
    const { authority, place, manifest, startMirror } = registry;
    const oras = await orasIn(await place('oras'));
    const name = `${authority}/team/thing:1`;
    await oras('push', '--plain-http', '--artifact-type', THING, name, 'thing.txt:text/plain');
    await oras('attach', '--plain-http', '--artifact-type', SBOM, name, 'sbom.json:application/json');
    const thing = await manifest('team/thing', '1');
    expect(thing.content.artifactType).toBe(THING);
    const attached = (await referrers(oras, name)) as string[];
    expect(attached).toHaveLength(1);

    const copy = `${authority}/copied/thing`;
    await oras('copy', '-r', '--from-plain-http', '--to-plain-http', name, `${copy}:1`);
    expect(await referrers(oras, `${copy}:1`)).toEqual(attached);
    const sbom = JSON.parse(await run('crane', ['manifest', `${copy}@${attached[0]}`])) as unknown;
    expect(sbom).toMatchObject({ artifactType: SBOM, subject: { digest: thing.digest } });
    const raw = await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${copy}:1`);
    expect(blobOf(Buffer.from(raw)).digest).toBe(thing.digest);

    const mirrored = `${await startMirror()}/copied/thing:1`;
    expect(await referrers(oras, mirrored)).toEqual(attached);
    const pulled = await place('pulled');
    await oras('pull', '--plain-http', '--output', pulled, mirrored);
    expect(await readFile(join(pulled, 'thing.txt'), 'utf8')).toBe('a thing\n');
  });

  withRegistry('pushes, fetches and deletes blobs and manifests by themselves', ['oras'], async (registry) => {
    const { authority, server, place } = registry;
    const directory = await place('oras');
    const oras = await orasIn(directory);
    const name = `${authority}/team/thing`;
    const thing = blobOf(await readFile(join(directory, 'thing.txt')));
    await oras('blob', 'push', '--plain-http', name, 'thing.txt');
    expect(await oras('blob', 'fetch', '--plain-http', '--output', '-', `${name}@${thing.digest}`)).toBe('a thing\n');
    await oras('push', '--plain-http', '--artifact-type', THING, `${name}:1`, 'thing.txt:text/plain');
    await oras('tag', '--plain-http', `${name}:1`, '2', '3');
    expect((await oras('repo', 'tags', '--plain-http', name)).trim().split('\n').sort()).toEqual(['1', '2', '3']);
    expect(await oras('repo', 'ls', '--plain-http', authority)).toBe('team/thing\n');

    const { digest } = JSON.parse(await oras('manifest', 'fetch', '--plain-http', '--descriptor', `${name}:1`)) as {
      digest: string;
    };
    await oras('manifest', 'delete', '--plain-http', '--force', `${name}@${digest}`);
    expect((await oras('repo', 'tags', '--plain-http', name)).trim()).toBe('');
    await oras('blob', 'delete', '--plain-http', '--force', `${name}@${thing.digest}`);
    expect((await server.head(`/v2/team/thing/blobs/${thing.digest}`)).status).toBe(404);
  });
});
