import type { BlobStore } from '../blobs/blob-store.ts';
import type { LinkRecord, Records } from '../metadata/records.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import type { Notify, ReportPush } from './events.ts';
import type { ManifestRules } from './manifest-rules.ts';
import type { PushName, PushRoute, Pushing } from './request.ts';

/** What the parts of this room share; made once, in compose.ts. */
export interface PushDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly blobs: BlobStore;
  readonly records: Records;
  readonly report: ReportPush;
  readonly notify: Notify;
  /** Names this process among all that share the store, and no other. */
  readonly holder: string;
  /** True for a holder that is known to run no more, so that a restart need not wait for its own ghost. */
  readonly isDead: (holder: string) => boolean;
  /** Asked at each request, so that a reload takes effect with the next one. */
  readonly router: (name: Pick<PushName, 'registry' | 'repository'>) => PushRoute | undefined;
  /** `storage.maintenance.readonly`: nobody may push or delete. */
  readonly readOnly: () => boolean;
  readonly rules: () => ManifestRules;
  /** `storage.delete.enabled`. */
  readonly mayDelete: () => boolean;
  /** `limits.uploads`: how many in progress one account may have; `undefined`: as many as it likes. */
  readonly uploadsMax: () => number | undefined;
  /** Whether a route leads to a repository, `docker.io/library/ubuntu`, and does not deny it. */
  readonly isServed: (holder: string) => boolean;
  /** Whether a pull from there would be answered with the blob, as far as the rules of its route about content go. */
  readonly isLetIn: (holder: string, digest: Digest) => Promise<boolean>;
  /** Whether its link, which came from an upstream, still lets who may pull there read the digest. */
  readonly stillShows: (holder: string, digest: Digest, link: LinkRecord) => Promise<boolean>;
  /**
   * Asked before an upload begins and before a manifest is taken. Throws RegistryError where the push is refused: the name
   * is an upstream's (`shadow`).
   */
  readonly admit: (pushing: Pushing) => Promise<void>;
  /**
   * Fetches what a manifest needs and the rest of the chain can supply, so that it is linked and held here (decision 11).
   * What cannot be had is left out; rejects only where that could not be found out.
   */
  readonly adopt: (pushing: Pushing, needs: readonly Descriptor[]) => Promise<void>;
}
