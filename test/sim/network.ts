import type { Digest } from '../../src/oci/digest.ts';
import { parseDigest } from '../../src/oci/digest.ts';
import {
  UpstreamError,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamBody,
  type UpstreamRequest,
} from '../../src/upstream/upstream.ts';
import { MEDIA_TYPE } from '../fakes/images.ts';
import { ABSENT, createScriptedPort, trouble, UNKNOWN, type Said, type Supply } from '../fakes/scripted-port.ts';
import { BLOBS, BYTES, imageByDigest, shortName } from './content.ts';
import type { Life } from './life.ts';
import type { Machine } from './machine.ts';
import type { Truth } from './truth.ts';

/**
 * How an upstream is just now. `moody`: it cuts, stalls, ignores ranges, fails now and then, but what it says is right.
 * `liar`: its bytes, sizes and ranges may be wrong. `silent`: it answers nothing, until the time limit.
 */
export type Mood = 'up' | 'slow' | 'moody' | 'liar' | 'down' | 'silent' | 'limited' | 'broken' | 'refusing';

export const UPSTREAMS = ['hub-a', 'hub-b', 'hub-c', 'quay'] as const;

/**
 * A registry of somebody's own: it says that it has whatever it is asked for by digest, and has nothing. Of one blob, which others have in
 * public, it says so and then nothing more.
 */
export const THIEF = 'thief';
const HUSHED = BLOBS[2]!.digest;
export const isStolen = (holder: string): boolean => holder.startsWith('thief.io/');

/** Each registry has one of its own for a digest. */
const transferOf = (registry: string, digest: Digest): string => `${registry} ${digest}`;

export function digestOfTransfer(transfer: string): Digest {
  return transfer.slice(transfer.indexOf(' ') + 1) as Digest;
}

export const transferText = (transfer: string): string =>
  `${shortName(digestOfTransfer(transfer))} for ${transfer.slice(0, transfer.indexOf(' '))}`;

export interface AskedOf {
  readonly upstream: string;
  readonly request: UpstreamRequest;
  /** Monotonic milliseconds of the answer. */
  at: number;
  said: 'asking' | 'found' | 'absent' | 'trouble';
}

/** What the real ones wait for before they give up. */
const TIMEOUT_MS = 10_000;
const STALL_MS = 5_000;

/** A body that has brought all of its bytes ends within this, or is closed: it is read to its end, so that its connection is good for more. */
export const BODY_END_MS = 10_000;

/** The upstreams, scripted by what they truly have and by how they are. Outlives the processes that ask it. */
export class Network {
  readonly log: AskedOf[] = [];
  /** By `transferOf`: GETs of blobs whose bodies are being read now, and the most at once since it was looked at. */
  readonly open = new Map<string, number>();
  readonly most = new Map<string, number>();
  /** Bytes of blobs that left, by the same; what the thief sends is of no blob. */
  readonly sent = new Map<string, number>();
  readonly #moods = new Map<string, { mood: Mood; since: number }>();
  readonly #machine: Machine;
  readonly #truth: Truth;

  constructor(machine: Machine, truth: Truth) {
    this.#machine = machine;
    this.#truth = truth;
  }

  mood(upstream: string): Mood {
    return this.#moods.get(upstream)?.mood ?? 'up';
  }

  setMood(upstream: string, mood: Mood): void {
    this.#moods.set(upstream, { mood, since: this.#machine.clock.monotonic() });
  }

  allUp(): void {
    for (const upstream of UPSTREAMS) if (this.mood(upstream) !== 'up') this.setMood(upstream, 'up');
  }

  /** It has been `up` all the time since. */
  wasUpSince(upstream: string, since: number): boolean {
    const now = this.#moods.get(upstream);
    return now === undefined || (now.mood === 'up' && now.since <= since);
  }

  /** The upstream as one process sees it. */
  upstreamFor(name: string, life: Life): Upstream {
    const port = createScriptedPort(name, (request) => this.#answer(name, request));
    return {
      ...port,
      name,
      standing: () => ({ ...UNKNOWN, up: this.mood(name) !== 'down' }),
      ask: (request, signal) => life.guard(this.#ask(port, request, signal, life)),
    };
  }

  async #ask(port: Upstream, request: UpstreamRequest, signal: AbortSignal, life: Life): Promise<UpstreamAnswer> {
    const { clock } = this.#machine;
    const entry: AskedOf = { upstream: port.name, request, at: clock.monotonic(), said: 'asking' };
    this.log.push(entry);
    const digest = request.kind === 'blob' && request.method === 'GET' ? parseDigest(request.reference) : undefined;
    const transfer = digest && transferOf(request.registry, digest);
    if (transfer !== undefined) this.#count(transfer, 1);
    try {
      const answer = await port.ask(request, signal);
      entry.at = clock.monotonic();
      entry.said = answer.kind === 'absent' ? 'absent' : answer.kind === 'found' ? 'found' : 'trouble';
      if (transfer === undefined || answer.kind !== 'found' || answer.body === undefined) {
        if (transfer !== undefined) this.#count(transfer, -1);
        return answer;
      }
      return { ...answer, body: this.#watched(transfer, port.name !== THIEF, answer.body, life) };
    } catch (error) {
      entry.at = clock.monotonic();
      entry.said = 'trouble';
      if (transfer !== undefined) this.#count(transfer, -1);
      throw error;
    }
  }

  #watched(transfer: string, isBlob: boolean, body: UpstreamBody, life: Life): UpstreamBody {
    let open = true;
    const end = (): void => {
      if (open) this.#count(transfer, -1);
      open = false;
    };
    return {
      read: () =>
        life.guard(
          body.read().then(
            (chunk) => {
              if (chunk === undefined) end();
              else if (isBlob) this.sent.set(transfer, (this.sent.get(transfer) ?? 0) + chunk.byteLength);
              return chunk;
            },
            (error: unknown) => {
              end();
              throw error;
            },
          ),
        ),
      close() {
        end();
        body.close();
      },
    };
  }

  /** Whoever asked has died: nothing of it is open any more. */
  hungUp(): void {
    this.open.clear();
  }

  #count(transfer: string, by: 1 | -1): void {
    const now = Math.max(0, (this.open.get(transfer) ?? 0) + by);
    this.open.set(transfer, now);
    this.most.set(transfer, Math.max(now, this.most.get(transfer) ?? 0));
  }

  async #answer(name: string, request: UpstreamRequest): Promise<Said> {
    const { dice } = this.#machine;
    await this.#pass(dice.between(1, this.mood(name) === 'slow' ? 1_500 : 15));
    if (name === THIEF) {
      const isSilent = this.mood(THIEF) === 'silent' || (request.method === 'GET' && request.reference === HUSHED);
      if (isSilent) await this.#pass(TIMEOUT_MS);
      return isSilent ? trouble(name, { timeout: true }) : this.#claim(request);
    }
    switch (this.mood(name)) {
      case 'up':
      case 'slow':
        return this.#truly(name, request);
      case 'moody':
        return this.#moodily(name, request);
      case 'liar':
        return this.#falsely(name, request);
      case 'down':
        return trouble(name);
      case 'silent':
        await this.#pass(TIMEOUT_MS);
        return trouble(name, { timeout: true });
      case 'limited':
        return { kind: 'limited', retryAfterSeconds: 30 };
      case 'broken':
        return trouble(name, { status: 503 });
      case 'refusing':
        return new UpstreamError(name, 'auth', `${name} gives no token`, { status: 401 });
    }
  }

  #truly(name: string, { kind, repository, reference }: UpstreamRequest): Supply | typeof ABSENT {
    const { dice } = this.#machine;
    const found = this.#truth.repository(name, repository);
    if (found === undefined || kind === 'referrers') return ABSENT;
    const common = {
      anonymous: !found.isPrivate,
      chunkBytes: dice.pick([1_000, 16_384, 65_536]),
      pause: () => (dice.chance(0.1) ? this.#pass(dice.between(1, 30)) : Promise.resolve()),
    };
    if (kind === 'tags')
      return { ...common, bytes: Buffer.from(JSON.stringify({ name: repository, tags: [...found.tags.keys()] })) };
    const digest = parseDigest(reference) ?? found.tags.get(reference);
    const bytes = digest && (kind === 'blob' ? found.blobs : found.manifests).has(digest) ? BYTES.get(digest) : undefined;
    if (digest === undefined || bytes === undefined) return ABSENT;
    const mediaType = kind === 'blob' ? 'application/octet-stream' : mediaTypeOf(digest);
    return { ...common, bytes, digest, mediaType };
  }

  #claim({ kind, reference }: UpstreamRequest): Supply | typeof ABSENT {
    const { dice } = this.#machine;
    const digest = kind === 'blob' || kind === 'manifest' ? parseDigest(reference) : undefined;
    const length = digest && BYTES.get(digest)?.length;
    if (digest === undefined || length === undefined) return ABSENT;
    return {
      bytes: Buffer.alloc(length, 0xee),
      anonymous: dice.chance(0.7),
      mediaType: mediaTypeOf(digest),
      digest,
      ...(dice.chance(0.3) ? { breakAfter: dice.between(0, length) } : {}),
    };
  }

  async #moodily(name: string, request: UpstreamRequest): Promise<Said> {
    const { dice } = this.#machine;
    const said = this.#truly(name, request);
    if ('kind' in said || dice.chance(0.4)) return said;
    const { length } = said.bytes;
    switch (dice.weigh({ cut: 4, end: 2, stall: 1, unranged: 2, unsized: 2, status: 2, late: 1, limited: 1, token: 1 })) {
      case 'cut':
        return { ...said, breakAfter: dice.between(0, length), breakAs: 'cut' };
      case 'end':
        return { ...said, endAfter: dice.between(0, length) };
      case 'stall':
        return {
          ...said,
          breakAfter: dice.between(0, length),
          breakAs: 'stall',
          pause: () => this.#pass(dice.chance(0.05) ? STALL_MS : 1),
        };
      case 'unranged':
        return { ...said, ignoreRange: true };
      case 'unsized':
        return { ...said, size: null };
      case 'status':
        return trouble(name, { status: 502 });
      case 'late':
        await this.#pass(TIMEOUT_MS);
        return trouble(name, { timeout: true });
      case 'limited':
        return { kind: 'limited', retryAfterSeconds: undefined };
      case 'token':
        return new UpstreamError(name, 'auth', `${name} gives no token`, { timeout: true });
    }
  }

  /** Bytes, sizes and ranges; what a tag points to is still told rightly, since nobody could tell otherwise. */
  async #falsely(name: string, request: UpstreamRequest): Promise<Said> {
    const { dice } = this.#machine;
    const said = this.#truly(name, request);
    if ('kind' in said || request.kind === 'tags' || dice.chance(0.4)) return said;
    const { bytes } = said;
    switch (dice.weigh({ flip: 4, longer: 1, shorter: 1, size: 1, shift: 2, other: 1 })) {
      case 'flip':
        return { ...said, bytes: flipped(bytes, dice.pick([0, bytes.length - 1, dice.between(0, bytes.length - 1)])) };
      case 'longer':
        return { ...said, bytes: Buffer.concat([bytes, Buffer.alloc(dice.pick([1, 70_000]), 7)]) };
      case 'shorter':
        return { ...said, bytes: bytes.subarray(0, Math.max(0, bytes.length - dice.pick([1, 1_000]))) };
      case 'size':
        return request.method === 'HEAD' && parseDigest(request.reference) === undefined
          ? said
          : { ...said, size: bytes.length + dice.pick([-1, 1, 5_000]) };
      case 'shift':
        return { ...said, shift: dice.pick([1, -1, 4_096]) };
      case 'other':
        return { ...said, bytes: Buffer.alloc(bytes.length, 9) };
    }
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.#machine.clock.after(ms, resolve));
  }
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

function mediaTypeOf(digest: Digest): string {
  return imageByDigest(digest)?.manifest.mediaType ?? MEDIA_TYPE.ociManifest;
}
