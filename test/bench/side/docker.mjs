// A whole `docker pull`: an image such as real ones are, and a Docker Engine of the bench's own, begun as the tests begin theirs.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { built } from './built.mjs';
import { cpuSeconds as spent } from './processes.mjs';
import { settle } from './settle.mjs';

/** Ten layers of a language's image: the distribution, what is installed besides, the language, and scraps. */
const LAYER_MIB = [29, 24, 1.2, 48, 0.003, 16, 0.4, 2.3, 12, 0.001];
export const IMAGE = 'library/language';
/** Memory that a pull of it fills: what the server stores, what the engine downloads, and what that unpacks to. */
const PULL_MIB = 1000;

/** Yields an engine, or `{ whyNot }` where none can be run here. `place`: a directory for all of it. */
export async function openDocker(place) {
  const [client, images, program] = await built('test/clients/docker.ts', 'test/fakes/images.ts', 'test/clients/program.ts');
  const missing = program.whyNot(client.DOCKER);
  if (missing !== undefined) return { whyNot: missing };
  const ends = [];
  const settings = join(place, 'daemon.json');
  mkdirSync(place, { recursive: true });
  writeFileSync(settings, '{}');
  const stage = {
    async place(name) {
      mkdirSync(join(place, name), { recursive: true });
      return join(place, name);
    },
    configure: async () => [{ path: settings, file: settings }],
    defer: (end) => ends.push(end),
  };
  const stop = async () => {
    for (const end of ends.toReversed()) await end();
    rmSync(place, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const docker = await client.startDocker(stage, 'overlay2');
    return { docker, stop, tree: (root) => layOut(images, root) };
  } catch (error) {
    await stop();
    return { whyNot: error.message.trim().split('\n').at(-1) };
  }
}

/** The image as files by the paths that they are asked for by, as a server of plain files has it. */
function layOut({ buildImage }, root) {
  const layers = LAYER_MIB.map((mib) => Math.round(mib * 1024 * 1024));
  const image = buildImage({ layers, format: 'docker' });
  const put = (kind, name, bytes) => {
    const directory = join(root, 'v2', IMAGE, kind);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, name), bytes);
  };
  put('manifests', 'latest', image.top.bytes);
  put('manifests', image.top.digest, image.top.bytes);
  for (const { digest, bytes } of [image.config, ...image.layers]) put('blobs', digest, bytes);
  return { mediaType: image.top.mediaType, digest: image.top.digest };
}

/** One pull by an engine that has nothing of the image, and has nothing of it afterwards. `pid`: whose processor time is told. */
export async function pull(docker, { url, pid }, digest) {
  const name = `${new URL(url).host}/${IMAGE}`;
  settle(PULL_MIB);
  const before = spent(pid);
  const began = performance.now();
  const said = await docker('pull', `${name}:latest`);
  const seconds = (performance.now() - began) / 1000;
  const cpuSeconds = spent(pid) - before;
  if (!said.includes(digest)) throw new Error(`${url}: another image came:\n${said}`);
  await docker('image', 'rm', `${name}:latest`);
  return { seconds, cpuSeconds };
}
