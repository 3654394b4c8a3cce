import { allUploads, type Records } from '../metadata/records.ts';
import { RegistryError } from '../oci/errors.ts';

export interface UploadCapDeps {
  readonly records: Pick<Records, 'uploads'>;
  /** `limits.uploads`, asked each time; `undefined`: as many as one likes. */
  readonly uploadsMax: () => number | undefined;
}

/** How many uploads one account may have in progress (reliability.md, S41, S54), whichever process they were begun with. */
export class UploadCap {
  readonly #deps: UploadCapDeps;
  /** The last that begins, by whom: two at once would not see each other. */
  readonly #beginning = new Map<string, Promise<unknown>>();

  constructor(deps: UploadCapDeps) {
    this.#deps = deps;
  }

  /** Begins an upload of `by`, unless they have too many: then it throws RegistryError 429. */
  async begin<T>(by: string, work: () => Promise<T>): Promise<T> {
    if (this.#deps.uploadsMax() === undefined) return work();
    const begun = this.#after(by).then(async () => {
      await this.#check(by);
      return work();
    });
    const ended = begun.catch(() => undefined); // Whoever asked for it hears of it.
    this.#beginning.set(by, ended);
    try {
      return await begun;
    } finally {
      if (this.#beginning.get(by) === ended) this.#beginning.delete(by);
    }
  }

  async #after(by: string): Promise<void> {
    await this.#beginning.get(by);
  }

  async #check(by: string): Promise<void> {
    const max = this.#deps.uploadsMax() ?? Infinity;
    let count = 0;
    for await (const { record } of allUploads(this.#deps.records)) {
      if (record?.by === by) count += 1;
      if (count >= max) throw tooMany(max);
    }
  }
}

/** One of those that run ends soon, where they run; one that was left alone goes with `uploadpurging`. */
const RETRY_SECONDS = 5;

function tooMany(max: number): RegistryError {
  const message = `this account has ${max} uploads in progress, and may have no more (limits.uploads): finish or cancel one`;
  return new RegistryError('TOOMANYREQUESTS', message, { headers: { 'retry-after': String(RETRY_SECONDS) } });
}
