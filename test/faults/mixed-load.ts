import { createHash } from 'node:crypto';
import type { Random } from '../../src/system/random.ts';
import type { Reply } from '../fakes/http-client.ts';
import type { Blob } from '../fakes/images.ts';
import { times } from '../scenarios/harness.ts';
import { faultsOf, imageOf, pushWhole, type PushedImage, type Server } from './push-and-collect.ts';
import { TAG, type MixedUpstream } from './mixed-images.ts';

/** What may stand under a pushed name: an image, or nothing. */
type Standing = PushedImage | 'absent';

export const WORK = ['pull', 'again', 'range', 'push', 'delete', 'move', 'collect', 'scrub'] as const;
export type Work = (typeof WORK)[number];
/** What counts as a piece of work. */
const OF_CLIENTS: ReadonlySet<Work> = new Set(['pull', 'again', 'range', 'push', 'delete']);

export interface MixedLoad {
  /** Begins on a server that has just started. */
  begin(server: Server, commands: MixedCommands): MixedRun;
  /** What runs at this moment. */
  running(): readonly Work[];
  /** Everything that a client was told must be so, on a server without load. Yields what is not. */
  check(server: Server): Promise<readonly string[]>;
  /** Whether a push could have brought it. */
  mayBePushed(digest: string): boolean;
  readonly counts: Record<string, number>;
  /** What clients met that no kill explains. */
  readonly faults: string[];
}

export interface MixedRun {
  /** Resolves when so many pieces of work have come to their end. */
  worked(pieces: number): Promise<void>;
  /** No more is begun; what breaks off from here on is the kill's. */
  end(): void;
  /** All clients have ended. */
  readonly ended: Promise<void>;
}

/** Commands of an operator, each to its end. */
export interface MixedCommands {
  collect(): Promise<void>;
  scrub(): Promise<void>;
}

const REPOSITORIES = ['team/a', 'team/b'];
const PULLERS = 4;
const PUSHERS = 4;
/** Of each pusher. */
const TAGS = 3;

/** Clients and an operator who do all that one can do at once, and remember what they were told. */
export function createMixedLoad(upstream: MixedUpstream, ownLayers: readonly Blob[], random: Random): MixedLoad {
  /** What a push takes its layers from: some of them are the cache's too. */
  const layers = [...ownLayers, ...upstream.layers.filter(({ size }) => size < 300_000).slice(0, 10)];
  const pushable = new Set<string>(layers.map(({ digest }) => digest));
  const standing = new Map<string, readonly Standing[]>();
  const counts: Record<string, number> = {};
  const faults: string[] = [];
  const running = new Map<Work, number>(WORK.map((work) => [work, 0]));
  let pieces = 0;
  let onPiece: () => void = () => undefined;
  let pushes = 0;

  const pick = <T>(from: readonly T[]): T => from[Math.floor(random.fraction() * from.length)]!;
  const count = (name: string): void => void (counts[name] = (counts[name] ?? 0) + 1);

  async function doing(work: Work, act: () => Promise<void>, isOver: () => boolean): Promise<void> {
    running.set(work, running.get(work)! + 1);
    try {
      await act();
    } catch (error) {
      // A kill cuts what runs; while the server lives nothing may fail.
      if (isOver()) count(`${work}: cut`);
      else faults.push(`${work}: ${String(error)}`);
    } finally {
      running.set(work, running.get(work)! - 1);
      pieces += Number(OF_CLIENTS.has(work));
      onPiece();
    }
  }

  /** Whole and with a clean end, or a throw: wrong and short bytes are told apart from what a kill cut. */
  async function bytesOf(reply: Reply, wanted: readonly Blob[], slice?: readonly [from: number, to: number]): Promise<Blob> {
    const body = await reply.bytes();
    if (reply.status >= 300) throw new Error(`${reply.status}: ${body.subarray(0, 300).toString()}`);
    const found = wanted.find(({ bytes }) => body.equals(slice === undefined ? bytes : bytes.subarray(...slice)));
    if (found !== undefined) return found;
    const size = slice === undefined ? wanted[0]!.size : slice[1] - slice[0];
    const kind = body.length < size ? 'short' : 'wrong';
    count(kind);
    const got = createHash('sha256').update(body).digest('hex');
    faults.push(`${kind}: ${body.length} bytes, ${got} for ${wanted.map(({ digest }) => digest).join(' or ')}`);
    return wanted[0]!;
  }

  async function pull(server: Server, { repository, versions }: MixedUpstream['images'][number]): Promise<void> {
    const path = `/v2/docker.io/${repository}`;
    const manifests = versions.map(({ manifest }) => manifest);
    const found = await bytesOf(await server.get(`${path}/manifests/${TAG}`), manifests);
    const { blobs } = versions.find(({ manifest }) => manifest === found)!;
    await Promise.all(blobs.map(async (blob) => bytesOf(await server.get(`${path}/blobs/${blob.digest}`), [blob])));
    count('whole pulls');
  }

  async function pullRange(server: Server, { repository, versions }: MixedUpstream['images'][number]): Promise<void> {
    const blob = pick(pick(versions).blobs);
    const from = Math.floor(random.fraction() * blob.size);
    const to = Math.min(blob.size, from + 1 + Math.floor(random.fraction() * 200_000));
    const headers = { range: `bytes=${from}-${to - 1}` };
    const reply = await server.get(`/v2/docker.io/${repository}/blobs/${blob.digest}`, { headers });
    if (reply.status === 200) throw new Error('a range was answered whole');
    await bytesOf(reply, [blob], [from, to]);
    count('ranges');
  }

  async function pushOne(server: Server, name: string): Promise<void> {
    pushes += 1;
    const [repository, tag] = name.split(':') as [string, string];
    const image = imageOf(repository, tag, [pick(layers), pick(layers)], 1_000_000 + pushes);
    for (const { digest } of [image.manifest, ...image.blobs]) pushable.add(digest);
    standing.set(name, [...(standing.get(name) ?? ['absent']), image]);
    await pushWhole(server, image, random.fraction() < 0.5 ? pick(REPOSITORIES) : undefined, () => Promise.resolve());
    standing.set(name, [image]);
    count('pushes acknowledged');
  }

  /** What is known to stand under a name. */
  function settled(name: string): PushedImage | undefined {
    const [image = 'absent', ...others] = standing.get(name) ?? [];
    return image === 'absent' || others.length > 0 ? undefined : image;
  }

  async function deleteOne(server: Server, image: PushedImage): Promise<void> {
    const { repository, tag } = image;
    const name = `${repository}:${tag}`;
    standing.set(name, [image, 'absent']);
    const reference = random.fraction() < 0.5 ? tag : image.manifest.digest;
    const reply = await server.get(`/v2/${repository}/manifests/${reference}`, { method: 'DELETE' });
    const said = await reply.text();
    if (reply.status !== 202) throw new Error(`${reply.status}: ${said}`);
    standing.set(name, ['absent']);
    count('deletions acknowledged');
  }

  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, random.fraction() * ms));

  return {
    begin(server, commands) {
      let over = false;
      const isOver = (): boolean => over;
      const until = async (act: () => Promise<void>): Promise<void> => {
        while (!over) await act();
      };
      const puller = (): Promise<void> =>
        until(async () => {
          const image = pick(upstream.images);
          const work = pick(['pull', 'pull', 'again', 'range'] as const);
          if (work === 'range') await doing('range', () => pullRange(server, image), isOver);
          else await doing('pull', () => pull(server, image), isOver);
          if (work === 'again') await doing('again', () => pull(server, image), isOver);
        });
      const pusher = (nth: number): Promise<void> =>
        until(async () => {
          const name = `${pick(REPOSITORIES)}:p${nth}-${Math.floor(random.fraction() * TAGS)}`;
          const image = settled(name);
          if (image === undefined || random.fraction() < 0.7) await doing('push', () => pushOne(server, name), isOver);
          else await doing('delete', () => deleteOne(server, image), isOver);
          await pause(10);
        });
      const mover = (): Promise<void> =>
        until(async () => {
          const image = pick(upstream.images);
          await doing('move', () => upstream.move(image, pick(image.versions)), isOver);
          await pause(40);
        });
      const operator = (): Promise<void> =>
        until(async () => {
          if (random.fraction() < 0.7) await doing('collect', commands.collect, isOver);
          else await doing('scrub', commands.scrub, isOver);
          await pause(100);
        });
      const clients = [...times(PULLERS, puller), ...times(PUSHERS, pusher), mover(), operator()];
      const before = pieces;
      return {
        worked: (wanted) =>
          new Promise((resolve) => {
            onPiece = () => void (pieces - before >= wanted && resolve());
            onPiece();
          }),
        end: () => void (over = true),
        ended: Promise.all(clients).then(() => undefined),
      };
    },
    running: () => WORK.filter((work) => running.get(work)! > 0),
    async check(server) {
      const found: string[] = [];
      const names = [...standing].map(async ([name, images]) => {
        const [repository, tag] = name.split(':') as [string, string];
        const reply = await server.get(`/v2/${repository}/manifests/${tag}`);
        const digest = reply.status === 200 ? await reply.sha256() : (await reply.bytes(), undefined);
        if (digest === undefined && reply.status === 404 && images.includes('absent')) return standing.set(name, ['absent']);
        const image = images.find((one) => one !== 'absent' && one.manifest.digest === digest);
        if (image === undefined || image === 'absent') return found.push(`${name} is ${digest ?? reply.status}`);
        found.push(...(await faultsOf(server, image, image.manifest.digest)));
        // What was in flight is known now, and may not change any more by itself.
        return standing.set(name, [image]);
      });
      await Promise.all(names);
      return found;
    },
    mayBePushed: (digest) => pushable.has(digest),
    counts,
    faults,
  };
}
