// What contenders are asked for, and how they come to have it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { download } from './load.mjs';
import { get } from './processes.mjs';
import { settle } from './settle.mjs';

/** Memory that pulling a large layer fills, for the server that stores it and for sockets: about three times the layer. */
const PULL_MIB = 600;

/** The registry of generated images, in a process of its own. */
export async function openUpstream({ images, bytes, large = 8 }) {
  const child = fork(new URL('upstream.mjs', import.meta.url).pathname, [images, bytes, large].map(String));
  const [said] = await once(child, 'message');
  const tell = async (message) => {
    child.send(message);
    await once(child, 'message');
  };
  return {
    ...said,
    child,
    /** Bytes a second of each answer; 0: as fast as it can. */
    rate: (rate) => tell({ rate }),
    add: (image, root) => tell({ image, root }),
    transfers: async () => JSON.parse((await get(`${said.url}/transfers`)).body).transfers,
  };
}

/** Small answers: their names in the table, and the path of each image's. */
export const SMALL = {
  'manifest by tag': ({ repository }) => `/v2/${repository}/manifests/latest`,
  'manifest by digest': ({ repository, digest }) => `/v2/${repository}/manifests/${digest}`,
  'small blob': ({ repository, layer }) => `/v2/${repository}/blobs/${layer}`,
};

/** Until it holds what is asked for. */
export async function warm(server, paths) {
  for (const path of paths) {
    const { status } = await get(`${server.url}${path}`);
    if (status !== 200) throw new Error(`${server.name}: ${path} is ${status}`);
  }
}

/** One answer in a file, for bare.mjs to say again and again. */
export async function saveAnswer(base, url) {
  const { headers, body } = await get(url);
  const file = join(base, 'answer.json');
  writeFileSync(file, JSON.stringify({ headers: { ...headers, connection: 'keep-alive' }, body: body.toString('base64') }));
  return file;
}

/** Ours pulls a large layer, and a server of files gets what came; yields its path. */
export async function holdLarge(ours, files, { repository, layer }) {
  const path = `/v2/${repository}/blobs/${layer}`;
  await get(`${ours.url}/v2/${repository}/manifests/latest`);
  const { body } = await get(`${ours.url}${path}`);
  const file = join(files.files, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, body);
  return path;
}

/**
 * A server that has pulled some dozens of layers, so that what it is asked for next is the first of that and not of the process: a
 * mirror runs for weeks, and what compiles as it runs is slow in its first second.
 */
export async function started(start, base, upstream, rate) {
  const [, { repository, layer }] = upstream.large;
  const server = await start(base, upstream.url);
  await upstream.rate(0);
  for (const image of upstream.warming) {
    await warm(server, [`/v2/${image.repository}/manifests/latest`, `/v2/${image.repository}/blobs/${image.layer}`]);
  }
  await get(`${server.url}/v2/${repository}/manifests/latest`);
  await download(server, [`${server.url}/v2/${repository}/blobs/${layer}`]);
  await upstream.rate(rate);
  return server;
}

/** Pulls a large layer that nobody has yet; `transfers`: how many the upstream saw. */
export async function coldPull(start, base, upstream, { rate, clients }) {
  const [{ repository, layer }] = upstream.large;
  const server = await started(start, base, upstream, rate);
  await get(`${server.url}/v2/${repository}/manifests/latest`);
  const before = await upstream.transfers();
  settle(PULL_MIB);
  const pulled = await download(server, [`${server.url}/v2/${repository}/blobs/${layer}`], { clients });
  const transfers = (await upstream.transfers()) - before;
  await server.stop();
  return { ...pulled, transfers };
}

/** The same layer from where it comes from. */
export async function directPull(upstream) {
  const [{ repository, layer }] = upstream.large;
  settle(PULL_MIB);
  return download({ pid: upstream.child.pid }, [`${upstream.url}/v2/${repository}/blobs/${layer}`]);
}
