import { linkShows } from '../pull/granting.ts';
import type { Notify } from '../push/events.ts';
import { createPush, type Push } from '../push/push.ts';
import { purgeUploads } from '../push/purge.ts';
import type { HouseEvent } from '../observe/events.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import { createRefuseTaken } from './free-names.ts';
import type { Chains } from './chains.ts';
import type { Pulling } from './pulling.ts';
import type { Storage } from './storage.ts';

export interface PushingDeps {
  readonly system: { readonly clock: Clock; readonly random: Random };
  readonly storage: Storage;
  readonly chains: () => Chains;
  readonly pulling: Pick<Pulling, 'askTaken' | 'adopt'>;
  readonly report: (event: HouseEvent) => void;
  readonly notify: Notify;
}

export interface Pushing {
  readonly push: Push;
  /** Drops uploads that nobody goes on with, at intervals. */
  purge(): void;
  stop(): void;
  /** Resolves when what runs has ended: after the last connection, so that what was cut off is kept. */
  settled(): Promise<void>;
}

/** The write path, wired. */
export function createPushing({ system, storage, chains, pulling, report, notify }: PushingDeps): Pushing {
  const { blobs, records } = storage;
  const router: Chains['router'] = (name) => chains().router(name);
  const purging = purgeUploads({ clock: system.clock, blobs, records, report }, () => {
    const { readonly, uploadpurging } = chains().config.storage;
    const { dryrun, enabled, ...purge } = uploadpurging;
    return { ...purge, enabled: enabled && !readonly, dryRun: dryrun };
  });
  const running = new Set<Promise<unknown>>();
  const push = createPush({
    ...system,
    blobs,
    records,
    report,
    notify,
    holder: storage.holder,
    isDead: storage.isDead,
    router,
    readOnly: () => chains().config.storage.readonly,
    rules: () => chains().config.validation,
    mayDelete: () => chains().config.storage.delete.enabled,
    uploadsMax: () => chains().config.limits.uploads,
    isServed: (repository) => isServed(chains(), repository),
    isLetIn: (repository, digest) => isLetIn(chains(), repository, digest),
    async stillShows(repository, digest, link) {
      const route = router(nameOf(repository));
      // Nobody asks an upstream about who mounts.
      const byRules = route && { policy: route.policy, passthrough: undefined };
      return byRules !== undefined && linkShows({ ...system, records, report }, byRules, repository, digest, link);
    },
    admit: createRefuseTaken({ records, router, askTaken: pulling.askTaken }),
    adopt: ({ name, request }, needs) => pulling.adopt(name, needs, request.signal),
  });
  return {
    push(request) {
      const pushed = push(request);
      const ended = pushed
        .then(
          () => undefined,
          () => undefined,
        )
        .finally(() => running.delete(ended));
      running.add(ended);
      return pushed;
    },
    purge: () => purging.start(),
    stop: () => purging.stop(),
    async settled() {
      await Promise.all(running);
    },
  };
}

function isServed({ router }: Chains, holder: string): boolean {
  const route = router(nameOf(holder));
  return route !== undefined && !route.deny;
}

/** Where that cannot be told the client brings the bytes itself. */
async function isLetIn({ router }: Chains, holder: string, digest: Digest): Promise<boolean> {
  const name = nameOf(holder);
  const admission = router(name)?.policy.admission;
  if (admission === undefined) return true;
  try {
    return (await admission.blob({ ...name, digest })) === undefined;
  } catch (error) {
    if (error instanceof RegistryError) return false;
    throw error;
  }
}

function nameOf(holder: string): { readonly registry: string; readonly repository: string } {
  const slash = holder.indexOf('/');
  return { registry: holder.slice(0, slash), repository: holder.slice(slash + 1) };
}
