import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Reply } from '../../fakes/http-client.ts';
import { descriptorOf, manifestBlob, MEDIA_TYPE, type Blob, type ManifestBlob } from '../../fakes/images.ts';
import { createScriptedUpstream, type ScriptedUpstream } from '../../fakes/scripted-upstream.ts';
import { startHere, type RunningHere } from '../../scenarios/in-process.ts';
import { blobPath, manifestPath } from '../../scenarios/paths.ts';
import { baseSettings, chainTo, type Settings } from '../../scenarios/settings.ts';
import { teach } from './answer.ts';
import type { ObjectName, Schedule, UpstreamPlan, Wish } from './schedule.ts';

export const REPOSITORY = 'library/thing';

/** Milliseconds after which an upstream is given up. */
export const TIMEOUT = { connect: 1000, headers: 900, stall: 450 } as const;

/** What a client saw. */
export interface Seen {
  readonly wish: Wish;
  readonly status: number;
  /** `whole`: complete by its own length, and right. `wrong`: complete and not right. */
  readonly got: 'whole' | 'wrong' | 'cut' | 'refused';
  readonly ms: number;
  /** What it was told, where it was refused; how much it had, where it was cut. */
  readonly detail: string;
}

/** A schedule's upstreams and the server in front of them. */
export interface House {
  readonly server: RunningHere;
  readonly upstreams: readonly ScriptedUpstream[];
  /** Where signed addresses lead. */
  readonly signer: ScriptedUpstream;
  readonly manifest: ManifestBlob;
  ask(wish: Wish): Promise<Seen>;
  close(): Promise<void>;
}

export async function build(schedule: Schedule): Promise<House> {
  const [config, layer] = schedule.blobs;
  const manifest = manifestBlob(MEDIA_TYPE.ociManifest, {
    config: descriptorOf(config, MEDIA_TYPE.ociConfig),
    layers: [descriptorOf(layer, MEDIA_TYPE.ociLayer)],
  });
  const contents = { manifest, blob0: config, blob1: layer };
  const signer = await createScriptedUpstream();
  const upstreams = await Promise.all(schedule.chain.map((plan, at) => stand(plan, contents, signer, at)));
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-'));
  const server = await startHere(baseSettings(directory, settingsOf(schedule, upstreams)), directory);
  return {
    server,
    upstreams,
    signer,
    manifest,
    ask: (wish) => ask(server, schedule, contents[wish.object], wish),
    async close() {
      await server.stop();
      for (const upstream of [signer, ...upstreams]) await upstream.close();
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

async function stand(
  { mode, signIn, answers }: UpstreamPlan,
  contents: Readonly<Record<ObjectName, Blob>> & { readonly manifest: ManifestBlob },
  signer: ScriptedUpstream,
  at: number,
): Promise<ScriptedUpstream> {
  const upstream = await createScriptedUpstream(signIn ? { auth: { scheme: 'bearer' } } : {});
  const answering = { upstream, signer };
  const { manifest, blob0, blob1 } = contents;
  teach(upstream.manifest(REPOSITORY, 'v', manifest), answers.manifest, manifest, answering, `${at}/manifest`);
  teach(upstream.blob(REPOSITORY, blob0), answers.blob0, blob0, answering, `${at}/blob0`);
  teach(upstream.blob(REPOSITORY, blob1), answers.blob1, blob1, answering, `${at}/blob1`);
  if (mode === 'silent') upstream.all.blackHole();
  if (mode === 'dead') await upstream.down();
  return upstream;
}

function settingsOf({ balance, replicas, hedge, parallel }: Schedule, upstreams: readonly ScriptedUpstream[]): Settings {
  const timeout = Object.fromEntries(Object.entries(TIMEOUT).map(([name, ms]) => [name, `${ms}ms`]));
  const chain = upstreams.map(({ url }, at) => [`up${at}`, { url, timeout, weight: at + 1 }] as const);
  return chainTo(Object.fromEntries(chain), { balance, replicas, hedge, parallel });
}

async function ask(server: RunningHere, schedule: Schedule, content: Blob, wish: Wish): Promise<Seen> {
  const { object, method, range } = wish;
  const path =
    object === 'manifest'
      ? manifestPath(schedule.by === 'tag' ? 'v' : content.digest, REPOSITORY)
      : blobPath(content, REPOSITORY);
  const started = performance.now();
  const headers = range === undefined ? {} : { range: `bytes=${range.from}-${range.to - 1}` };
  const reply = await server.get(path, { method, headers, signal: AbortSignal.timeout(60_000) });
  const { bytes, broken } = await reply.untilBroken();
  const seen = { wish, status: reply.status, ms: performance.now() - started };
  if (reply.status >= 300) return { ...seen, got: 'refused', detail: bytes.toString('utf8') };
  if (broken) return { ...seen, got: 'cut', detail: `${bytes.length} bytes of ${reply.headers['content-length'] ?? 'chunks'}` };
  const right = method === 'HEAD' ? isRightHead(reply, content) : Buffer.compare(bytes, wantedOf(reply, content)) === 0;
  return { ...seen, got: right ? 'whole' : 'wrong', detail: `${bytes.length} bytes` };
}

function isRightHead({ headers }: Reply, { size }: Blob): boolean {
  return headers['content-length'] === undefined || headers['content-length'] === String(size);
}

/** What the content has where the answer says that its bytes stand. */
function wantedOf({ status, headers }: Reply, { bytes }: Blob): Buffer {
  const said = /^bytes (\d+)-(\d+)\//.exec(headers['content-range'] ?? '');
  if (status !== 206 || said === null) return bytes;
  return bytes.subarray(Number(said[1]), Number(said[2]) + 1);
}
