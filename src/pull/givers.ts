import type { BlobRecord, Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { registryOf } from './holder.ts';
import { recentOnes } from './recent.ts';
import type { Provenance } from './store.ts';

/** Upstreams that have brought all bytes of a digest; `anybody`: no secret, since nobody needed a credential to have them. */
export type Given = 'anybody' | ReadonlySet<string>;

export interface GiversDeps {
  readonly records: Pick<Records, 'blob' | 'holders' | 'link'>;
}

/** Looked through for one that came from an upstream in question. Beyond that a transfer costs less than looking on. */
const HOLDERS_MAX = 100;

/** Digests of which is remembered who gave them, for when the metadata cannot be asked. */
const REMEMBERED_MAX = 20_000;

/** Upstreams remembered of one digest. */
const UPSTREAMS_MAX = 16;

/**
 * Who may open bytes at hand for one more repository by saying that it has them. An upstream's word grants a read (architecture.md,
 * decision 8), and anybody can run a registry that says yes to every digest: so its word counts where it has shown that it has these
 * bytes, by having brought them once, or where they are no secret. Anybody else has to bring them.
 */
export class Givers {
  readonly #records: GiversDeps['records'];
  readonly #remembered = recentOnes<{ readonly given: Given }>(REMEMBERED_MAX);

  constructor({ records }: GiversDeps) {
    this.#records = records;
  }

  /** Those of this registry. `blob`: what is known of the digest. */
  async of(holder: string, digest: Digest, blob: BlobRecord): Promise<Given> {
    if (blob.public) return this.#remember(digest, 'anybody');
    const registry = registryOf(holder);
    const holders = await this.#records.holders(digest, undefined, HOLDERS_MAX);
    const found = new Set(blob.brought?.registry === registry ? [blob.brought.upstream] : []);
    for (const other of new Set([holder, ...holders])) {
      if (registryOf(other) !== registry) continue;
      const link = await this.#records.link(other, digest);
      if (link?.by === 'upstream' && link.claimed !== true && link.upstream !== undefined) found.add(link.upstream);
    }
    return found;
  }

  /** The same, as far as this process remembers. */
  remembered(holder: string, digest: Digest): Given {
    const known = this.#remembered.get(digest)?.given;
    if (known === undefined || known === 'anybody') return known ?? new Set();
    const registry = `${registryOf(holder)} `;
    return new Set([...known].filter((giver) => giver.startsWith(registry)).map((giver) => giver.slice(registry.length)));
  }

  /** Somebody has just brought it. */
  note(digest: Digest, { repository, upstream, claimed, public: isPublic }: Provenance): void {
    const before = this.#remembered.get(digest)?.given;
    if (isPublic) this.#remember(digest, 'anybody');
    if (isPublic || claimed === true || before === 'anybody') return;
    const givers = [...(before ?? []), `${registryOf(repository)} ${upstream}`];
    this.#remember(digest, new Set(givers.slice(-UPSTREAMS_MAX)));
  }

  #remember(digest: Digest, given: Given): Given {
    this.#remembered.set(digest, { given });
    return given;
  }
}

/** Whether this upstream's yes is enough. */
export function counts(given: Given, upstream: string): boolean {
  return given === 'anybody' || given.has(upstream);
}

/** Nobody's yes would be: whoever has the bytes has to bring them. */
export function isNobody(given: Given): boolean {
  return given !== 'anybody' && given.size === 0;
}

/** Those who are worth asking before others; none where it does not matter who says yes. */
export function namesOf(given: Given): ReadonlySet<string> {
  return given === 'anybody' ? new Set() : given;
}
