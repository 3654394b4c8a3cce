import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { CollectStep } from '../../src/admin/collect.ts';
import { remoteAdmin } from '../../src/commands/remote-admin.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { Reply } from '../fakes/http-client.ts';
import { descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob, type Blob, type ManifestBlob } from '../fakes/images.ts';
import { PROGRAM, startProcess, type RunningProcess } from '../scenarios/process.ts';
import { baseSettings } from '../scenarios/settings.ts';

const CLOCK = fileURLToPath(new URL('fast-clock.mjs', import.meta.url));
const HOUR_MS = 3_600_000;

export interface Place {
  readonly directory: string;
  /** The program on this directory, again and again; its hours last `hourMs`. */
  start(): Promise<RunningProcess>;
  /** So many hours are over when it is started next. */
  pass(hours: number): void;
  /** A command in a process of its own; yields what it wrote, and rejects unless it exits 0. */
  command(...args: readonly string[]): Promise<string>;
  /** One collection through the running server. */
  collect(deleteUntagged: boolean): Promise<readonly CollectStep[]>;
  remove(): void;
}

/** `more`: keys of the configuration. */
export function createPlace(hourMs: number, more: Readonly<Record<string, unknown>> = {}): Place {
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-collect-'));
  const speed = HOUR_MS / hourMs;
  const began = Date.now();
  let passedMs = 0;
  const env = (): Record<string, string> => ({
    FAST_CLOCK: String(speed),
    FAST_CLOCK_SINCE: String(began),
    FAST_CLOCK_AHEAD: String(passedMs),
  });
  const settings = {
    ...baseSettings(directory, {}),
    ...more,
    log: { accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: directory }, delete: { enabled: true } },
  };
  return {
    directory,
    start: () => startProcess(settings, directory, { env: env(), execArgv: ['--import', CLOCK] }),
    pass: (hours) => void (passedMs += hours * HOUR_MS),
    async command(...args) {
      const found = await promisify(execFile)(process.execPath, ['--import', CLOCK, PROGRAM, ...args], {
        env: env(),
        cwd: directory,
      });
      return found.stdout;
    },
    async collect(deleteUntagged) {
      const steps: CollectStep[] = [];
      const admin = remoteAdmin(join(directory, 'entrepot.sock'));
      for await (const step of admin.collect({ dryRun: false, deleteUntagged })) steps.push(step);
      return steps;
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A client that asks first what is there, as docker and containerd do, and sends the rest. */
export interface PushedImage {
  readonly repository: string;
  readonly tag: string;
  readonly manifest: ManifestBlob;
  readonly blobs: readonly Blob[];
}

/** `config` makes it different from all others; the layers are others' too. */
export function imageOf(repository: string, tag: string, layers: readonly Blob[], seed: number): PushedImage {
  const config = randomBlob(200 + (seed % 50), seed);
  const manifest = manifestBlob(MEDIA_TYPE.ociManifest, {
    config: descriptorOf(config, 'application/vnd.oci.image.config.v1+json'),
    layers: layers.map((layer) => descriptorOf(layer, 'application/vnd.oci.image.layer.v1.tar')),
  });
  return { repository, tag, manifest, blobs: [...layers, config] };
}

export type Server = Pick<RunningProcess, 'get' | 'head'>;

/**
 * Pushes an image; throws with what was refused. 503 is tried again, as clients do. `mounted`: another repository that may
 * hold its layers.
 */
export async function pushWhole(
  server: Server,
  { repository, tag, manifest, blobs }: PushedImage,
  mounted: string | undefined,
  pause: () => Promise<void>,
): Promise<void> {
  const path = `/v2/${repository}`;
  for (const blob of blobs) {
    const there = await server.head(`${path}/blobs/${blob.digest}`);
    if (there.status === 200) continue;
    const query = mounted === undefined ? '' : `?mount=${blob.digest}&from=${mounted}`;
    const begun = await done(() =>
      server.get(`${path}/blobs/uploads/${query}`, { method: 'POST', headers: { 'content-length': '0' } }),
    );
    if (begun.status === 201) continue;
    const at = begun.headers['location']!;
    await pause();
    await done(() =>
      server.get(
        `${at}${at.includes('?') ? '&' : '?'}digest=${blob.digest}`,
        sent('PUT', blob.bytes, 'application/octet-stream'),
      ),
    );
  }
  await pause();
  await done(() => server.get(`${path}/manifests/${tag}`, sent('PUT', manifest.bytes, manifest.mediaType)));
}

function sent(method: string, body: Uint8Array, type: string) {
  return { method, headers: { 'content-type': type, 'content-length': String(body.length) }, body };
}

async function done(ask: () => Promise<Reply>): Promise<Reply> {
  for (let left = 20; ; left -= 1) {
    const reply = await ask();
    const body = Buffer.from(await reply.bytes()).toString();
    if (reply.status < 300) return reply;
    if (reply.status !== 503 || left === 0) throw new Error(`a push was refused: ${reply.status} ${body}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What is wrong with an image that was acknowledged; nothing where it is whole. */
export async function faultsOf(server: Server, { repository, manifest, blobs }: PushedImage, reference: string | Digest) {
  const path = `/v2/${repository}`;
  const faults: string[] = [];
  for (const [at, digest] of [
    [`${path}/manifests/${reference}`, manifest.digest],
    ...blobs.map((blob) => [`${path}/blobs/${blob.digest}`, blob.digest]),
  ] as const) {
    const reply = await server.get(at);
    const got = reply.status === 200 ? await reply.sha256() : `${reply.status} ${Buffer.from(await reply.bytes()).toString()}`;
    if (got !== digest) faults.push(`${at}: ${got}`);
  }
  return faults;
}

/** What lies on the disk, whoever knows of it. */
export function heldDigests(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).flatMap((path) => {
    const [, algorithm, hex] = /(sha256)\/[^/]+\/([0-9a-f]{64})(?:\/data)?$/.exec(path) ?? [];
    return hex === undefined ? [] : [`${algorithm}:${hex}`];
  });
}

/** Uploads and fills that are on their way, or were left. */
export function partsOf(directory: string): string[] {
  return readdirSync(join(directory, 'entrepot/parts'));
}
