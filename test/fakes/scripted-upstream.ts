import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Digest } from '../../src/oci/digest.ts';
import type { Random } from '../../src/system/random.ts';
import {
  blobOf,
  buildImage,
  descriptorOf,
  manifestBlob,
  MEDIA_TYPE,
  type Blob,
  type Image,
  type ImageOptions,
  type ManifestBlob,
} from './images.ts';
import { createScriptedAuth, type AuthOptions, type ScriptedAuth } from './scripted-auth.ts';
import { createScript, fits, type Plan, type Script, type ScriptWithSteps } from './scripted-behaviour.ts';
import { sendBody } from './scripted-body.ts';
import { createContent } from './scripted-content.ts';
import { listReferrers, listTags, notFound, type ListOptions } from './scripted-lists.ts';
import { readPath, readRange, type RecordedRequest } from './scripted-request.ts';
import { createSeededRandom } from './seeded-random.ts';

export interface ScriptedUpstreamOptions {
  readonly auth?: AuthOptions;
  readonly lists?: ListOptions;
  /** For `cutAfter('random')`; default: seed 1. */
  readonly random?: Random;
}

/**
 * A registry over real sockets of the loopback. It behaves well until a script says otherwise: `blob()`, `manifest()` and
 * `image()` yield the script of what they add, `all` is everybody's, `on(pattern)` that of requests which fit.
 */
export interface ScriptedUpstream {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly requests: readonly RecordedRequest[];
  readonly all: Script;
  readonly auth: Pick<ScriptedAuth, 'set' | 'expireTokens' | 'token'>;
  on(pattern: string): Script;
  blob(repository: string, blob: Blob | Uint8Array): Script;
  /** Outside the API, as a content network has it; neither sign-in nor a digest header there. */
  file(path: string, blob: Blob): Script;
  /** `tag`: a tag to go with it; otherwise it is there by digest alone. */
  manifest(repository: string, tag: string | undefined, manifest: ManifestBlob): Script;
  /** Builds an image, adds all of it, and yields it. */
  image(repository: string, tag: string, options?: ImageOptions): Image;
  tag(repository: string, tag: string, digest: Digest): void;
  remove(repository: string, reference: string): void;
  /** An artifact manifest that refers to `subject`. */
  referrer(repository: string, subject: ManifestBlob, artifactType: string): ManifestBlob;
  /** Lists a manifest that is there already among those that refer to `subject`. */
  refer(repository: string, subject: ManifestBlob, manifest: ManifestBlob, artifactType: string): void;
  /** Its `/token` gives out the other's tokens from now on: a realm on a host of its own. */
  tokensOf(other: ScriptedUpstream): void;
  lists(options: ListOptions): void;
  /** How many requests fit the pattern: `GET blob`, `HEAD manifest`, `token`, `401`, part of an address. */
  hits(pattern: string): number;
  /** Those that fit. */
  seen(pattern: string): RecordedRequest[];
  /** Resolves when `count` requests that fit have come. */
  received(pattern: string, count?: number): Promise<RecordedRequest>;
  /** Forgets what was recorded. */
  forget(): void;
  /** Connections open now. */
  connections(): number;
  /** Stops listening and breaks every connection; the address refuses from then on. */
  down(): Promise<void>;
  /** Listens again, at the same address. */
  up(): Promise<void>;
  close(): Promise<void>;
}

export async function createScriptedUpstream(options: ScriptedUpstreamOptions = {}): Promise<ScriptedUpstream> {
  const content = createContent();
  const auth = createScriptedAuth(options.auth);
  let tokenSource: Pick<ScriptedAuth, 'token'> = auth;
  const all = createScript();
  const patterns: { readonly pattern: string; readonly script: ScriptWithSteps }[] = [];
  const requests: RecordedRequest[] = [];
  const random = options.random ?? createSeededRandom(1);
  const sockets = new Set<Socket>();
  let waiting: { readonly pattern: string; readonly count: number; readonly resolve: (request: RecordedRequest) => void }[] =
    [];
  let lists = options.lists ?? {};
  let server = await listen(0);
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const url = `http://${host}`;

  async function listen(at: number): Promise<Server> {
    const next = createServer({ keepAliveTimeout: 60_000 }, (incoming, outgoing) => void answer(incoming, outgoing));
    next.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      next.once('error', reject);
      next.listen(at, '127.0.0.1', resolve);
    });
    return next;
  }

  function seen(pattern: string): RecordedRequest[] {
    return requests.filter((request) => fits(pattern, request));
  }

  function record(request: RecordedRequest): void {
    requests.push(request);
    tell();
  }

  /** Whoever waits for a request, or for how it was answered. */
  function tell(): void {
    waiting = waiting.filter(({ pattern, count, resolve }) => {
      const found = seen(pattern);
      if (found.length < count) return true;
      resolve(found[count - 1]!);
      return false;
    });
  }

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const request = await recordedFrom(incoming);
    record(request);
    const found = content.find(request);
    const plan: Plan = {};
    all.apply(request.method, plan);
    for (const { pattern, script } of patterns) if (fits(pattern, request)) script.apply(request.method, plan);
    const early = whatIsSmall(request);
    // Who is not let in does not get as far as the content, nor its script.
    if (early === undefined) found?.script.apply(request.method, plan);
    if (plan.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, plan.delayMs));
    if (plan.blackHole) return;
    if (plan.hangUp === 'rst') return void incoming.socket.resetAndDestroy();
    if (plan.hangUp === 'fin') return void incoming.socket.destroy();
    const small = plan.status ?? early ?? whatIsWrong(request, found !== undefined);
    const whole = small === undefined ? found!.blob : blobOf(Buffer.from(small.body));
    if (plan.redirect !== undefined && plan.status === undefined && (small?.code ?? 200) === 200) {
      request.status = plan.redirect.status;
      tell();
      outgoing.writeHead(plan.redirect.status, {
        location: plan.redirect.location(request.url),
        'content-length': 0,
        ...plan.headers,
      });
      outgoing.end();
      return;
    }
    const usual = small?.headers ?? contentHeaders(found!.mediaType, whole, plan);
    await send(request, outgoing, small?.code ?? 200, usual, whole, plan);
  }

  /** Sign-in first, as a registry does; then lists and the like. */
  function whatIsSmall(request: RecordedRequest): Plan['status'] {
    if (request.kind === 'token') return tokenSource.token(request);
    const refused = request.kind === 'file' ? undefined : auth.check(request, url);
    if (refused !== undefined) return refused;
    if (request.kind === 'ping') return { code: 200, headers: { 'content-type': 'application/json' }, body: '{}' };
    if (request.kind === 'tags') return listTags(content, request, lists, url);
    if (request.kind === 'referrers') return listReferrers(content, request, lists);
    if (request.kind !== 'catalog') return undefined;
    const body = JSON.stringify({ repositories: content.repositories() });
    return { code: 200, headers: { 'content-type': 'application/json' }, body };
  }

  function whatIsWrong(request: RecordedRequest, found: boolean): Plan['status'] {
    if (found) return undefined;
    if (content.repository(request.repository) === undefined) return notFound('NAME_UNKNOWN', 'repository name not known');
    return notFound(request.kind === 'blob' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN', 'not known to registry');
  }

  async function send(
    request: RecordedRequest,
    outgoing: ServerResponse,
    status: number,
    usual: Readonly<Record<string, string>>,
    whole: Blob,
    plan: Plan,
  ): Promise<void> {
    const bytes = damaged(plan.bytes ?? whole.bytes, plan);
    const ranged =
      status === 200 && (request.kind === 'blob' || request.kind === 'file') && !plan.ignoreRange ? request.range : undefined;
    const unsatisfiable = ranged !== undefined && ranged.from >= bytes.length;
    const shift = plan.rangeShift ?? { start: 0, total: 0 };
    const from = ranged === undefined ? 0 : ranged.from + shift.start;
    const to = Math.min(ranged?.to ?? bytes.length, bytes.length);
    const body = unsatisfiable ? Buffer.alloc(0) : bytes.subarray(from, to);
    const code = ranged === undefined ? status : unsatisfiable ? 416 : 206;
    const said = unsatisfiable ? `bytes */${bytes.length}` : `bytes ${from}-${to - 1}/${bytes.length + shift.total}`;
    request.status = code;
    tell();
    outgoing.sendDate = true;
    outgoing.strictContentLength = false;
    for (const [name, value] of Object.entries({ ...usual, ...plan.headers })) outgoing.setHeader(name, value);
    if (ranged !== undefined) outgoing.setHeader('content-range', said);
    if (plan.length === 'close') outgoing.shouldKeepAlive = false;
    if (plan.length === 'close') outgoing.useChunkedEncodingByDefault = false;
    if (plan.length === undefined) outgoing.setHeader('content-length', lengthOf(body, plan));
    outgoing.writeHead(code);
    if (request.method === 'HEAD') return void outgoing.end();
    await sendBody(outgoing, body, plan, random, (count) => (request.sent += count));
  }

  const upstream: ScriptedUpstream = {
    url,
    host,
    requests,
    all,
    auth,
    on(pattern) {
      const script = createScript();
      patterns.push({ pattern, script });
      return script;
    },
    blob: (repository, blob) => content.addBlob(repository, blob instanceof Uint8Array ? blobOf(blob) : blob),
    file(path, blob) {
      const script = content.addFile(path, blob);
      script.noDigestHeader();
      return script;
    },
    manifest: (repository, tag, manifest) => content.addManifest(repository, manifest, tag),
    image(repository, tag, imageOptions) {
      const image = buildImage(imageOptions);
      for (const layer of image.layers) content.addBlob(repository, layer);
      for (const config of image.configs) content.addBlob(repository, config);
      for (const manifest of image.manifests) content.addManifest(repository, manifest);
      content.addManifest(repository, image.top, tag);
      return image;
    },
    tag: (repository, tag, digest) => content.tag(repository, tag, digest),
    remove: (repository, reference) => content.remove(repository, reference),
    refer(repository, subject, manifest, artifactType) {
      content.addReferrer(repository, subject.digest, { ...descriptorOf(manifest, manifest.mediaType), artifactType });
    },
    referrer(repository, subject, artifactType) {
      const config = blobOf(Buffer.from('{}'));
      const manifest = manifestBlob(MEDIA_TYPE.ociManifest, {
        artifactType,
        config: descriptorOf(config, 'application/vnd.oci.empty.v1+json'),
        layers: [],
        subject: descriptorOf(subject, subject.mediaType),
      });
      content.addBlob(repository, config);
      content.addManifest(repository, manifest);
      content.addReferrer(repository, subject.digest, { ...descriptorOf(manifest, manifest.mediaType), artifactType });
      return manifest;
    },
    tokensOf: (other) => void (tokenSource = other.auth),
    lists: (next) => void (lists = next),
    hits: (pattern) => seen(pattern).length,
    seen,
    received(pattern, count = 1) {
      const found = seen(pattern);
      if (found.length >= count) return Promise.resolve(found[count - 1]!);
      return new Promise((resolve) => waiting.push({ pattern, count, resolve }));
    },
    forget: () => void (requests.length = 0),
    connections: () => sockets.size,
    async down() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async up() {
      server = await listen(port);
    },
    async close() {
      if (server.listening) await upstream.down();
    },
  };
  return upstream;
}

async function recordedFrom(incoming: IncomingMessage): Promise<RecordedRequest> {
  const url = incoming.url ?? '/';
  const path = url.split('?')[0]!;
  const asked = path === '/token' ? ({ kind: 'token', repository: '', reference: '' } as const) : readPath(path);
  const body = incoming.method === 'POST' ? await text(incoming) : '';
  const range = readRange(incoming.headers.range);
  return {
    ...asked,
    method: incoming.method ?? 'GET',
    url,
    headers: incoming.headers,
    body,
    range,
    at: performance.now(),
    status: undefined,
    sent: 0,
  };
}

function contentHeaders(mediaType: string, whole: Blob, plan: Plan): Record<string, string> {
  const type = plan.mediaType === undefined ? mediaType : plan.mediaType;
  const digest = plan.digestHeader === undefined ? whole.digest : plan.digestHeader;
  return {
    ...(type === null ? {} : { 'content-type': type }),
    ...(digest === null ? {} : { 'docker-content-digest': digest }),
    ...(plan.encoding === undefined ? {} : { 'content-encoding': plan.encoding }),
    'docker-distribution-api-version': 'registry/2.0',
  };
}

function damaged(bytes: Buffer, plan: Plan): Buffer {
  if (plan.flipAt === undefined || bytes.length === 0) return bytes;
  const copy = Buffer.from(bytes);
  const at = (plan.flipAt < 0 ? bytes.length + plan.flipAt : plan.flipAt) % bytes.length;
  copy[at] = copy[at]! ^ 1;
  return copy;
}

function lengthOf(body: Buffer, plan: Plan): number {
  return Math.min(body.length, plan.endAfter ?? Infinity) + (plan.lengthShift ?? 0);
}
