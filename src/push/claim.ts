import type { Records, UploadRecord } from '../metadata/records.ts';
import { RegistryError } from '../oci/errors.ts';
import { isTheirs } from './begun-by.ts';
import type { Clock, Timer } from '../system/clock.ts';
import { randomId, type Random } from '../system/random.ts';

/** How long a writer may be silent before it counts as dead. */
export const CLAIM_MS = 15_000;
/** How often it says that it lives. */
export const RENEW_MS = 5_000;

export interface ClaimDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly records: Pick<Records, 'upload' | 'putUpload' | 'dropUpload'>;
  readonly holder: string;
  readonly isDead: (holder: string) => boolean;
}

/**
 * `busy`: another request writes to the upload now. `fenced`: the one before was given up without having said that it ended,
 * and may yet write to the part: whoever goes on does so in another one.
 */
export type Claimed =
  | { readonly kind: 'claimed'; readonly claim: Claim; readonly fenced: boolean }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'busy' };

/**
 * Takes the right to write to an upload that `by` may go on with, of which one request has it at a time among all processes that share the store
 * (reliability.md, S41). Each step is a commit on the record as it stood: of two that cross, one is told.
 */
export async function claimUpload(deps: ClaimDeps, repository: string, id: string, by: string): Promise<Claimed> {
  const { clock, random, records, holder, isDead } = deps;
  const before = await records.upload(repository, id);
  if (before === undefined || !isTheirs(before, by)) return { kind: 'unknown' };
  const { writer, until } = before;
  const dead = writer !== undefined && isDead(holderOf(writer));
  if (writer !== undefined && !dead && (until ?? 0) > clock.now()) return { kind: 'busy' };
  const record = { ...before, writer: `${randomId(random)} ${holder}`, until: clock.now() + CLAIM_MS };
  if (!(await records.putUpload(repository, id, before, record))) return { kind: 'busy' };
  return { kind: 'claimed', claim: new Claim(deps, repository, id, record), fenced: writer !== undefined && !dead };
}

/** The right of one request to write to one upload, until `release` or `drop`. */
export class Claim {
  readonly repository: string;
  readonly id: string;
  readonly #deps: ClaimDeps;
  #record: UploadRecord;
  #timer: Timer | undefined;
  #renewed: number;
  #moving: Promise<void> = Promise.resolve();
  #lost: RegistryError | undefined;
  #ended = false;

  constructor(deps: ClaimDeps, repository: string, id: string, record: UploadRecord) {
    this.#deps = deps;
    this.repository = repository;
    this.id = id;
    this.#record = record;
    this.#renewed = deps.clock.monotonic();
    this.#schedule();
  }

  /** As it was last written. */
  get record(): UploadRecord {
    return this.#record;
  }

  /** True when another request has the upload now, or nobody: what this one does to it counts no more. */
  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /** Throws RegistryError when the right was lost: nothing may be written then. */
  check(): void {
    const silentMs = this.#deps.clock.monotonic() - this.#renewed;
    if (silentMs > CLAIM_MS)
      this.#lost ??= new RegistryError('UNAVAILABLE', 'the upload could not be renewed', { status: 503 });
    if (this.#lost !== undefined) throw this.#lost;
  }

  /** Writes that the upload has come further, or to another part. Throws as `check`; rejects when it cannot be written. */
  async move(to: { readonly offset?: number; readonly part?: string }): Promise<void> {
    await this.#commit(() => {
      const at = this.#deps.clock.now();
      return { ...this.#record, ...to, at, until: at + CLAIM_MS };
    });
  }

  /** Gives the right back, with what is durable now. Throws and rejects as `move`. */
  async release(offset: number): Promise<void> {
    this.#end();
    await this.#commit(() => {
      const { writer: _, until: __, ...rest } = this.#record;
      return { ...rest, offset, at: offset === rest.offset ? rest.at : this.#deps.clock.now() };
    });
  }

  /** Ends the upload. False where it was ended by another. */
  async drop(): Promise<boolean> {
    this.#end();
    await this.#moving;
    return this.#deps.records.dropUpload(this.repository, this.id, this.#record);
  }

  /** After an error: renews no more, and lets the right run out if it cannot be given back. */
  async abandon(offset: number): Promise<void> {
    this.#end();
    try {
      if (!this.lost) await this.release(offset);
    } catch {
      // It runs out by itself; the error before it is the one to tell.
    }
  }

  #end(): void {
    this.#ended = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    if (this.#ended) return;
    this.#timer = this.#deps.clock.after(RENEW_MS, () => {
      // What it rejects with is looked at by `check`, once the right has run out.
      this.move({}).then(
        () => this.#schedule(),
        () => (this.lost ? undefined : this.#schedule()),
      );
    });
  }

  /** One at a time: each stands on the one before. */
  #commit(next: () => UploadRecord): Promise<void> {
    const moving = this.#moving.then(async () => {
      if (this.#lost !== undefined) throw this.#lost;
      const record = next();
      if (!(await this.#deps.records.putUpload(this.repository, this.id, this.#record, record))) {
        this.#lost = new RegistryError(
          'BLOB_UPLOAD_UNKNOWN',
          'the upload was cancelled, or is being written by another request',
        );
        throw this.#lost;
      }
      this.#record = record;
      this.#renewed = this.#deps.clock.monotonic();
    });
    this.#moving = moving.catch(() => undefined); // Whoever asked for it hears of it.
    return moving;
  }
}

function holderOf(writer: string): string {
  return writer.slice(writer.indexOf(' ') + 1);
}
