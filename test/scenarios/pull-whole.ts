import { MEDIA_TYPE, type Image } from '../fakes/images.ts';
import type { Running } from './running.ts';

const accept = Object.values(MEDIA_TYPE).join(', ');

/** Pulls all of an image, as a client of every platform would; yields what is wrong with it, nothing where it is whole. */
export async function pullWhole(
  server: Pick<Running, 'get'>,
  repository: string,
  reference: string,
  image: Image,
): Promise<string[]> {
  const path = `/v2/${repository}`;
  const wanted: [string, string][] = [
    [`${path}/manifests/${reference}`, image.top.digest],
    ...image.manifests.map(({ digest }): [string, string] => [`${path}/manifests/${digest}`, digest]),
    ...[...image.configs, ...image.layers].map(({ digest }): [string, string] => [`${path}/blobs/${digest}`, digest]),
  ];
  const faults: string[] = [];
  for (const [at, digest] of wanted) {
    const reply = await server.get(at, { headers: { accept } });
    const got = reply.status === 200 ? await reply.sha256() : `${reply.status} ${await reply.text()}`;
    if (got !== digest) faults.push(`${at}: ${got}`);
  }
  return faults;
}
