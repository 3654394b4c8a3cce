import { isHosted, type LinkRecord, type QuotaSums } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import type { PushDeps } from './deps.ts';
import { recount } from './recount.ts';
import type { PushRoute, Pushing } from './request.ts';

/** A route that refuses counts first what it holds, but no more often: something may have gone that was not settled. */
const RECOUNT_MS = 5_000;
/** What a body without length has set aside for it beyond what came; then at every doubling up to the largest step. */
const STEP_FIRST_BYTES = 4 * 1024 * 1024;
const STEP_BYTES = 64 * 1024 * 1024;

export type QuotaDeps = Pick<PushDeps, 'clock' | 'records' | 'router'>;

/** There is no room for it under the `quota` of its route. */
export class QuotaExceeded extends RegistryError {}

/** Room for one upload, in bytes from its beginning. */
export interface Room {
  /** Sees to it that so many bytes may come. Throws {@link QuotaExceeded}. */
  cover(end: number): Promise<void>;
  /** No more than so many bytes came: gives back what was set aside beyond. */
  shrink(end: number): Promise<void>;
  /** The upload has ended, and what came of it is in its repository. */
  settle(): Promise<void>;
}

const UNLIMITED: Room = {
  cover: () => Promise.resolve(),
  shrink: () => Promise.resolve(),
  settle: () => Promise.resolve(),
};

type Asked = QuotaSums & { readonly kind: 'reserved' | 'full' };

/**
 * `quota` of routes: bytes that their repositories hold of what was pushed, each digest once in each repository, and what is
 * being pushed. What is about to come is set aside first, in one commit for all processes, so that pushes that run side by
 * side cannot pass the limit together; it is given back once it is there, or will not come. Costs nothing without a quota.
 * Refuses with {@link QuotaExceeded}, 403 `DENIED`: clients print its message, and docker does not try it again.
 */
export class Quotas {
  readonly #deps: QuotaDeps;
  /** By route as the configuration has it now: a reload makes others, which are counted anew. */
  readonly #counts = new WeakMap<PushRoute, { at: number; done: Promise<unknown> }>();

  constructor(deps: QuotaDeps) {
    this.#deps = deps;
  }

  /** Before anything is begun. `digest`: what is coming, where that is known. */
  async check(pushing: Pushing, bytes: number, digest: Digest | undefined): Promise<void> {
    const { quota } = pushing.route;
    if (quota === undefined || (digest !== undefined && (await this.#hosted(pushing, digest)) !== undefined)) return;
    await this.#ask(pushing, bytes, async () => {
      const now = await this.#deps.records.quota.sums(pushing.route.name);
      return { ...now, kind: now.used + now.reserved + Math.max(1, bytes) > quota ? 'full' : 'reserved' };
    });
  }

  /** `digest`: as of {@link check}. What is hosted there already adds nothing, however full the route is. */
  async room(pushing: Pushing, session: string, digest: Digest | undefined): Promise<Room> {
    if (pushing.route.quota === undefined) return UNLIMITED;
    // It is no more than that, unless it is something else.
    const free = (digest && (await this.#hosted(pushing, digest))?.size) ?? -1;
    let covered = -1;
    const reserve = async (bytes: number): Promise<void> => {
      await this.#reserve(pushing, session, bytes, true);
      covered = bytes;
    };
    return {
      settle: () => this.settle(pushing, session),
      cover: async (end) => {
        if (end <= covered || end <= free) return;
        // One that goes on needs more soon; near the limit it has what it needs now.
        const ahead = covered < 0 ? 0 : Math.min(Math.max(end, STEP_FIRST_BYTES), STEP_BYTES);
        const tried = ahead === 0 ? undefined : await this.#try(pushing, session, end + ahead, true);
        if (tried?.kind === 'reserved') covered = end + ahead;
        else await reserve(end);
      },
      shrink: async (end) => {
        if (end < covered) await reserve(end);
      },
    };
  }

  /** Sets `bytes` aside for as long as `work` takes, and settles what came of it. */
  async during<T>(pushing: Pushing, id: string, bytes: () => Promise<number>, work: () => Promise<T>): Promise<T> {
    if (pushing.route.quota === undefined) return work();
    await this.#reserve(pushing, id, await bytes(), false);
    try {
      const done = await work();
      await this.settle(pushing, id);
      return done;
    } catch (error) {
      await this.settle(pushing, id).catch(() => undefined); // The first failure is the one to tell.
      throw error;
    }
  }

  /** Takes over what the repository holds by now. */
  async settle({ route, holder }: Pushing, id?: string): Promise<void> {
    if (route.quota !== undefined) await this.#deps.records.quota.settle(route.name, holder, id);
  }

  /** Bytes that a push of these would add to the repository. */
  async added(pushing: Pushing, contents: readonly { readonly digest: Digest; readonly size: number }[]): Promise<number> {
    const { records } = this.#deps;
    const said = new Map(contents.map(({ digest, size }) => [digest, size]));
    const sizes = [...said].map(async ([digest, size]) => {
      const link = await records.link(pushing.holder, digest);
      if (link === undefined) return size;
      // What an upstream granted is as large as it is, whatever the manifest says of it.
      return isHosted(link) ? 0 : link.size;
    });
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  }

  async #hosted({ holder }: Pushing, digest: Digest): Promise<LinkRecord | undefined> {
    const link = await this.#deps.records.link(holder, digest);
    return isHosted(link) ? link : undefined;
  }

  async #reserve(pushing: Pushing, id: string, bytes: number, upload: boolean): Promise<void> {
    await this.#ask(pushing, bytes, () => this.#try(pushing, id, bytes, upload));
  }

  #try({ route, holder }: Pushing, id: string, bytes: number, upload: boolean): Promise<Asked> {
    const { records, clock } = this.#deps;
    const record = { repository: holder, bytes, at: clock.now(), upload };
    return records.quota.reserve(route.name, id, record, route.quota ?? Infinity);
  }

  /** Asks again after a recount, where there was none lately. */
  async #ask(pushing: Pushing, bytes: number, ask: () => Promise<Asked>): Promise<void> {
    const { route } = pushing;
    if (!this.#counts.has(route)) await this.#recount(route);
    let asked = await ask();
    if (asked.kind === 'full' && this.#isOld(route)) {
      await this.#recount(route);
      asked = await ask();
    }
    if (asked.kind === 'full') throw exceeded(pushing, asked, bytes);
  }

  #isOld(route: PushRoute): boolean {
    return this.#deps.clock.monotonic() - (this.#counts.get(route)?.at ?? -Infinity) >= RECOUNT_MS;
  }

  /** One at a time of each route. */
  async #recount(route: PushRoute): Promise<void> {
    const running = this.#counts.get(route);
    if (running !== undefined && !this.#isOld(route)) {
      await running.done;
      return;
    }
    const done = recount(this.#deps, route.name, (repository) => this.#deps.router(nameOf(repository)) === route);
    this.#counts.set(route, { at: this.#deps.clock.monotonic(), done });
    await done.catch((error: unknown) => {
      this.#counts.delete(route);
      throw error;
    });
  }
}

function nameOf(holder: string): { readonly registry: string; readonly repository: string } {
  const slash = holder.indexOf('/');
  return { registry: holder.slice(0, slash), repository: holder.slice(slash + 1) };
}

function exceeded({ route }: Pushing, { used, reserved }: QuotaSums, asked: number): QuotaExceeded {
  const limit = route.quota ?? 0;
  const held = reserved === 0 ? `${used} bytes` : `${used} bytes, and ${reserved} on their way,`;
  const message = `the quota of the route ${route.name} is ${limit} bytes: with ${held} held it has no room for ${Math.max(1, asked)} more; delete what is not needed and collect, or raise the quota`;
  return new QuotaExceeded('DENIED', message, { detail: { route: route.name, limit, used, reserved, asked } });
}
