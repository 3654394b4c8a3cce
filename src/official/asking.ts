import { HOSTED } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import type { ReportOfficial } from './events.ts';
import type { Fate, OfficialNames, Takeover } from './takeover.ts';

export interface AskingOptions {
  readonly takeover: Takeover;
  readonly names: OfficialNames;
  readonly report: ReportOfficial;
}

/** What can never be taken is not hashed again for every request; beyond so many, it is. */
const REFUSED_MAX = 10_000;

/** Whether something was taken over; each is asked for once, however many want it now. */
export interface Asking {
  manifest(repository: string, digest: Digest): Promise<boolean>;
  blob(repository: string, digest: Digest): Promise<boolean>;
  /** Bytes alone, whoever holds them there. */
  bytes(digest: Digest): Promise<boolean>;
  /** Throws RegistryError where it is hosted and its manifest is lost. */
  tag(repository: string, tag: string): Promise<boolean>;
  referrers(repository: string, subject: Digest): Promise<void>;
}

export function createAsking({ takeover, names, report }: AskingOptions): Asking {
  const running = new Map<string, Promise<Fate>>();
  const refused = new Set<string>();
  const backfilled = new Set<string>();

  async function fateOf(repository: string, reference: string, take: () => Promise<Fate>): Promise<Fate> {
    try {
      const fate = await take();
      if (fate.kind === 'refused') {
        if (refused.size >= REFUSED_MAX) refused.clear();
        refused.add(`${repository} ${reference}`);
        report({ kind: 'official-refused', repository, reference, why: fate.why });
      }
      return fate;
    } catch (error) {
      if (names.upstream === HOSTED) throw error;
      report({ kind: 'official-failed', repository, reference, error });
      return { kind: 'gone' };
    }
  }

  function once(repository: string, kind: string, reference: string, take: () => Promise<Fate>): Promise<Fate> {
    const key = `${repository} ${kind} ${reference}`;
    const joined = running.get(key);
    if (joined !== undefined) return joined;
    const taking = fateOf(repository, reference, take).finally(() => running.delete(key));
    running.set(key, taking);
    return taking;
  }

  const isRefused = (repository: string, reference: string): boolean => refused.has(`${repository} ${reference}`);

  async function byDigest(repository: string, kind: 'manifest' | 'blob', digest: Digest): Promise<boolean> {
    if (isRefused(repository, digest)) return false;
    return (await once(repository, kind, digest, () => takeover[kind](repository, digest))).kind === 'taken';
  }

  return {
    manifest: (repository, digest) => byDigest(repository, 'manifest', digest),
    blob: (repository, digest) => byDigest(repository, 'blob', digest),
    async bytes(digest) {
      if (isRefused('', digest)) return false;
      return (await once('', 'bytes', digest, () => takeover.bytes(digest))).kind === 'taken';
    },
    async tag(repository, tag) {
      const fate: Fate['kind'] = isRefused(repository, tag)
        ? 'refused'
        : (await once(repository, 'tag', tag, () => takeover.tag(repository, tag))).kind;
      if (fate === 'refused' && names.upstream === HOSTED) throw lost(`${repository}:${tag}`);
      return fate === 'taken';
    },
    async referrers(repository, subject) {
      const key = `${repository} ${subject}`;
      if (backfilled.has(key)) return;
      await takeover.referrers(repository, subject);
      if (backfilled.size >= REFUSED_MAX) backfilled.clear();
      backfilled.add(key);
    },
  };
}

/** No 404: mirrors of this registry would forget the image, and programs would take it for deleted (`pull/hosted.ts`). */
export class LostError extends RegistryError {}

function lost(what: string): RegistryError {
  return new LostError('UNKNOWN', `${what} was pushed to the official registry, but its bytes are damaged: push it again`);
}
