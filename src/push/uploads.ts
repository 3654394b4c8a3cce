import { algorithmOf, parseDigest, type Algorithm, type Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { randomId, type Random } from '../system/random.ts';
import { isTheirs } from './begun-by.ts';
import { created, empty, uploadHeaders } from './answers.ts';
import type { PushBody } from './body.ts';
import { claimUpload } from './claim.ts';
import { checkEnd, parseContentRange, rangeRefused, type ContentRange } from './content-range.ts';
import type { PushDeps } from './deps.ts';
import { keepBlob } from './keep-blob.ts';
import { QuotaExceeded, type Quotas, type Room } from './quota.ts';
import { tell } from './tell.ts';
import { openUpload, type OpenUpload } from './open-upload.ts';
import type { PushReply, Pushing } from './request.ts';
import { checkRoom } from './room.ts';
import { UploadHashes } from './upload-hashes.ts';
import { UploadCap } from './upload-cap.ts';
import { busyUpload, unknownUpload } from './upload-refusals.ts';

/** Uploads of blobs, in one request or in many (OCI distribution-spec, "Pushing blobs"). All throw RegistryError. */
export class Uploads {
  readonly #deps: PushDeps;
  readonly #quotas: Quotas;
  readonly #hashes = new UploadHashes();
  readonly #cap: UploadCap;

  constructor(deps: PushDeps, quotas: Quotas) {
    this.#deps = deps;
    this.#quotas = quotas;
    this.#cap = new UploadCap(deps);
  }

  /**
   * 202 with the place to send to; or, with `?digest=`, the whole blob at once and 201. What begins here need not survive
   * power loss before its first byte: the client that then finds nothing begins again.
   */
  async begin(pushing: Pushing): Promise<PushReply> {
    const { query } = pushing.request;
    const digest = digestParameter(query);
    const algorithm = digest === undefined ? algorithmParameter(query) : algorithmOf(digest);
    const session = await this.#cap.begin(pushing.request.by, () => this.#create(pushing, algorithm));
    if (digest === undefined) return empty(202, uploadHeaders(pushing.name, session, 0));
    try {
      return await this.#finishWith(pushing, session, digest);
    } catch (error) {
      // The client was not told where it could go on.
      await this.cancel(pushing, session).catch(() => undefined);
      throw error;
    }
  }

  /** 204: how far the upload has come. */
  async status({ name, holder, request }: Pushing, session: string): Promise<PushReply> {
    const upload = await this.#deps.records.upload(holder, session);
    if (upload === undefined || !isTheirs(upload, request.by)) throw unknownUpload();
    return empty(204, uploadHeaders(name, session, upload.offset));
  }

  /** 202: a chunk, or a stream without length, behind what is there. Acknowledged is what is durable. */
  async append(pushing: Pushing, session: string): Promise<PushReply> {
    return this.#write(pushing, session, undefined, async (upload, room) => {
      await this.#appendBody(pushing, upload, room);
      await upload.sync();
      upload.close();
      await room.shrink(upload.durable);
      await upload.claim.release(upload.durable);
      if (upload.running !== undefined) this.#hashes.keep(session, upload.running);
      await this.#deps.records.flushed();
      return empty(202, uploadHeaders(pushing.name, session, upload.durable));
    });
  }

  /** 201: the last chunk, if there is one more, and what all of it must hash to. */
  async finish(pushing: Pushing, session: string): Promise<PushReply> {
    const digest = digestParameter(pushing.request.query);
    if (digest === undefined) throw new RegistryError('DIGEST_INVALID', 'the parameter digest is missing');
    return this.#finishWith(pushing, session, digest);
  }

  /** 204: the upload and its bytes are gone. */
  async cancel(pushing: Pushing, session: string): Promise<PushReply> {
    const { records, blobs } = this.#deps;
    const { holder, request } = pushing;
    const upload = await records.upload(holder, session);
    if (upload === undefined || !isTheirs(upload, request.by)) throw unknownUpload();
    if (!(await records.dropUpload(holder, session))) throw unknownUpload();
    // A request that writes to it now hears of it at its next step, and removes it itself.
    await blobs.removePart(upload.part);
    await this.#quotas.settle(pushing, session);
    return empty(204, {});
  }

  async #create({ holder, request: { by } }: Pushing, algorithm: Algorithm): Promise<string> {
    const { clock, random, records } = this.#deps;
    const [session, part, now] = [uuid(random), randomId(random), clock.now()];
    await records.putUpload(holder, session, undefined, { part, offset: 0, started: now, at: now, by });
    this.#hashes.begin(session, part, algorithm);
    return session;
  }

  async #finishWith(pushing: Pushing, session: string, digest: Digest): Promise<PushReply> {
    const { trace } = pushing.request;
    trace.digest = digest;
    return this.#write(pushing, session, digest, async (upload, room) => {
      await this.#appendBody(pushing, upload, room);
      upload.claim.check();
      await this.#verify(pushing, upload, room, digest);
      await keepBlob(this.#deps, pushing, upload, digest);
      await room.settle();
      trace.size = upload.offset;
      await tell(this.#deps, pushing, { action: 'push', kind: 'blob', digest, size: upload.offset });
      return created(pushing.name, 'blobs', digest);
    });
  }

  /** Bytes that are not what they were said to be cannot be gone on with: the upload is gone, as at the official registry. */
  async #verify({ request }: Pushing, upload: OpenUpload, room: Room, digest: Digest): Promise<void> {
    const actual = await upload.digest(algorithmOf(digest), request.signal);
    if (actual === digest) return;
    await this.#drop(upload, room);
    throw new RegistryError('DIGEST_INVALID', `the ${upload.offset} bytes uploaded have the digest ${actual}, not ${digest}`);
  }

  async #drop(upload: OpenUpload, room: Room): Promise<void> {
    const ours = await upload.claim.drop();
    await upload.part.discard();
    // Another's upload still needs what was set aside for it.
    if (ours) await room.settle();
  }

  async #appendBody({ request, name }: Pushing, upload: OpenUpload, room: Room): Promise<void> {
    const { body, contentRange } = request;
    const range = contentRange === undefined ? undefined : parseContentRange(contentRange, body.length);
    if (range !== undefined && range.from !== upload.offset) throw rangeRefused(name, upload.claim.id, upload.offset, range);
    await room.cover(upload.offset + (body.length ?? 0));
    await upload.append(body, roomOf(range, body), (end) => room.cover(end));
    if (range !== undefined) checkEnd(range, upload.offset);
  }

  /** One request's writing, with the claim given back whatever comes of it. */
  async #write(
    pushing: Pushing,
    session: string,
    digest: Digest | undefined,
    work: (upload: OpenUpload, room: Room) => Promise<PushReply>,
  ): Promise<PushReply> {
    await checkRoom(this.#deps, pushing.request.body.length);
    const room = await this.#quotas.room(pushing, session, digest);
    const upload = await this.#open(pushing, session);
    try {
      this.#resumeHash(upload, digest && algorithmOf(digest));
      return await work(upload, room);
    } catch (error) {
      // There is no going on: what came would only stand in the way of others.
      if (error instanceof QuotaExceeded) await this.#drop(upload, room);
      await upload.keepWhatCame(error);
      if (upload.claim.lost) await this.#removeCancelled(pushing, upload, room);
      else if (!(error instanceof QuotaExceeded)) await room.shrink(upload.durable).catch(() => undefined); // As the upload ends.
      throw error;
    } finally {
      upload.close();
    }
  }

  async #open({ holder, request }: Pushing, session: string): Promise<OpenUpload> {
    const claimed = await claimUpload(this.#deps, holder, session, request.by);
    if (claimed.kind === 'unknown') throw unknownUpload();
    if (claimed.kind === 'busy') throw busyUpload();
    const { claim, fenced } = claimed;
    try {
      const upload = await openUpload(this.#deps, claim, fenced, request.signal);
      if (upload !== undefined) return upload;
      await claim.drop();
      throw unknownUpload();
    } catch (error) {
      await claim.abandon(claim.record.offset);
      throw error;
    }
  }

  /** `algorithm`: that of the digest, where it is known: before the first byte it says better than the beginning did. */
  #resumeHash(upload: OpenUpload, algorithm: Algorithm | undefined): void {
    const { claim, part, offset } = upload;
    const running = this.#hashes.take(claim.id, part.id, offset);
    if (offset === 0) upload.hashFrom(algorithm ?? running?.algorithm ?? 'sha256');
    else if (running !== undefined) upload.hashOn(running);
  }

  /** Whoever cancelled could not remove the part, since it was open here. */
  async #removeCancelled({ holder }: Pushing, { claim, part }: OpenUpload, room: Room): Promise<void> {
    try {
      const upload = await this.#deps.records.upload(holder, claim.id);
      // More may have been set aside for it since.
      if (upload === undefined) await room.settle();
      if (upload?.part !== part.id) await part.discard();
    } catch {
      // Swept later.
    }
  }
}

function roomOf(range: ContentRange | undefined, body: PushBody): number {
  return range === undefined ? (body.length ?? Infinity) : range.to - range.from;
}

/** OCI distribution-spec, "Pushing blobs": what is no digest, or of an algorithm that is not supported, is 400. */
export function digestParameter(query: URLSearchParams, name = 'digest'): Digest | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const digest = parseDigest(text);
  if (digest === undefined)
    throw new RegistryError('DIGEST_INVALID', `${name}: "${text.slice(0, 200)}" is no sha256 or sha512 digest`);
  return digest;
}

function algorithmParameter(query: URLSearchParams): Algorithm {
  const text = query.get('digest-algorithm') ?? 'sha256';
  if (text === 'sha256' || text === 'sha512') return text;
  throw new RegistryError('DIGEST_INVALID', `digest-algorithm: "${text.slice(0, 200)}" is neither sha256 nor sha512`);
}

/** RFC 9562 5.4: the specification asks for a UUID. */
function uuid(random: Random): string {
  const hex = randomId(random);
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16);
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `${variant}${hex.slice(17, 20)}`, hex.slice(20)].join(
    '-',
  );
}
