import type { Digest } from '../../src/oci/digest.ts';
import { BYTES, imageOf, shortName, type SimImage } from './content.ts';
import type { Change } from './hosted.ts';
import { ask, brokenBody, bytesBody, manifestPath, uploadsPath, type PushAnswer, type PushAsk } from './pusher.ts';
import { pullOne } from './pull-image.ts';
import type { Way } from './step.ts';
import type { World } from './world.ts';

/** One request that changes something: what the client is told goes into the model, and is judged. */
export async function change(
  world: World,
  asked: PushAsk,
  what: Change | undefined,
  gone: AbortController,
): Promise<PushAnswer> {
  const { server } = world;
  const startedAt = world.now;
  if (gone.signal.aborted) {
    what?.unknown();
    return { status: 0, headers: {}, code: undefined, why: gone.signal.reason };
  }
  const answer = await ask(server, asked, gone.signal);
  if (server.life.isOver()) return answer;
  if (answer.status < 300) what?.acknowledged();
  else what?.unknown();
  const said = answer.why instanceof Error ? `: ${answer.why.message}` : '';
  world.note(
    `${asked.method} ${asked.path.replaceAll(/sha256:[0-9a-f]{64}/g, shortName)} → ${answer.status} ${answer.code ?? ''}${said}`,
  );
  world.judge.push(world, { asked, answer, startedAt, endedAt: world.now });
  return answer;
}

/** As `docker push`: blobs that are not there yet, children, then the manifest. True when all was acknowledged. */
export async function pushImage(
  world: World,
  {
    repository,
    image,
    tags,
    way,
  }: { readonly repository: string; readonly image: string; readonly tags: readonly string[]; readonly way: Way },
  gone: AbortController,
): Promise<boolean> {
  return pushTree(world, repository, imageOf(image), tags, way, gone);
}

async function pushTree(
  world: World,
  repository: string,
  image: SimImage,
  tags: readonly string[],
  way: Way,
  gone: AbortController,
): Promise<boolean> {
  for (const child of image.children) if (!(await pushTree(world, repository, child, [], way, gone))) return false;
  const sent = await Promise.all(image.blobs.map(({ digest }) => pushBlob(world, repository, digest, way, gone)));
  if (sent.includes(false)) return false;
  const { digest, mediaType, bytes } = image.manifest;
  const path =
    tags.length === 1
      ? manifestPath(repository, tags[0]!)
      : `${manifestPath(repository, digest)}?${tags.map((tag) => `tag=${tag}`).join('&')}`;
  const answer = await change(
    world,
    { method: 'PUT', path, body: bytesBody(bytes, 1000), contentType: mediaType },
    world.hosted.pushManifest(repository, digest, tags),
    gone,
  );
  return answer.status === 201;
}

/** Unless it is there. */
export async function pushBlob(
  world: World,
  repository: string,
  digest: Digest,
  way: Way,
  gone: AbortController,
): Promise<boolean> {
  const wall = world.machine.clock.now();
  const there = await pullOne(world, { method: 'HEAD', repository, kind: 'blob', reference: digest }, gone);
  if (gone.signal.aborted) return false;
  if (there.status === 200) {
    world.hosted.told(repository, 'blob', digest, wall);
    return true;
  }
  return there.end === 'lost' ? false : upload(world, repository, digest, way, gone);
}

async function upload(world: World, repository: string, digest: Digest, way: Way, gone: AbortController): Promise<boolean> {
  const bytes = BYTES.get(digest)!;
  const pushed = (): Change => world.hosted.pushBlob(repository, digest);
  // How much is there of a single byte is not told (OCI distribution-spec: "0-0" is one byte, and none).
  if (way === 'monolithic' || bytes.length < 2) {
    const path = uploadsPath(repository, `?digest=${digest}`);
    return (await change(world, { method: 'POST', path, body: bytesBody(bytes, 16_384) }, pushed(), gone)).status === 201;
  }
  const begun = await change(world, { method: 'POST', path: uploadsPath(repository) }, undefined, gone);
  const at = begun.headers['location'];
  if (begun.status !== 202 || at === undefined) return false;
  const first = Math.ceil(bytes.length / 2);
  if (way === 'chunked') {
    const chunk = {
      method: 'PATCH',
      path: at,
      body: bytesBody(bytes.subarray(0, first), 5_000),
      contentRange: `0-${first - 1}`,
    } as const;
    if ((await change(world, chunk, undefined, gone)).status !== 202) return false;
  }
  if (way === 'broken') {
    await change(world, { method: 'PATCH', path: at, body: brokenBody(bytes, first) }, undefined, gone);
  }
  const offset = way === 'streamed' ? 0 : way === 'chunked' ? first : await offsetOf(world, at, gone);
  if (offset === undefined) return false;
  const rest = bytesBody(bytes.subarray(offset), 8_000, () => world.waiting.pause(1));
  const path = `${at}${at.includes('?') ? '&' : '?'}digest=${digest}`;
  return (await change(world, { method: 'PUT', path, body: rest }, pushed(), gone)).status === 201;
}

async function offsetOf(world: World, at: string, gone: AbortController): Promise<number | undefined> {
  const { status, headers } = await change(world, { method: 'GET', path: at }, undefined, gone);
  if (status !== 204) return undefined;
  const last = Number(headers['range']?.split('-')[1] ?? NaN);
  return headers['range'] === '0-0' ? 0 : last + 1;
}
