import type { LinkRecord, Needed, Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { ReportPull } from './events.ts';
import type { Route } from './route.ts';
import { troubleOf } from './trouble.ts';

/** What is held because an upstream gave it once. */
export interface Obtained {
  readonly needed?: Needed;
  readonly upstream?: string;
}

/** The part of a route that says who may see what. */
export type Terms = Pick<Route, 'policy' | 'passthrough'>;

/** Who decides who may read what a route leads to: nobody, the rules, or its upstream (`passthrough`). */
export type Decider = 'nobody' | 'rules' | 'upstream';

export function deciderOf({ policy, passthrough }: Terms): Decider {
  if (passthrough !== undefined) return 'upstream';
  return policy.open ? 'nobody' : 'rules';
}

/** What an upstream's answer took. */
export function neededFor({ asker }: { readonly asker?: string | undefined }, anonymous: boolean): Needed {
  if (anonymous) return 'nothing';
  return asker === undefined ? 'account' : 'client';
}

/**
 * Whether what was obtained once may be shown on a route as that is now (promise 9). What an account unlocked is shown where that
 * account still unlocks, and to whom rules let in by name where nobody can be asked any more; else an upstream has to say again that
 * it may be read. `unknown`: an older version did not note what it took, and anyone may pull here now.
 */
export function grants({ policy, passthrough }: Terms, { needed, upstream }: Obtained): boolean | 'unknown' {
  // At that door its upstream has just been asked about this very client.
  if (passthrough !== undefined || needed === 'nothing') return true;
  if (needed === 'client') return false;
  if (upstream !== undefined && policy.unlocks?.(upstream) === true) return true;
  if (needed === undefined) return policy.open ? 'unknown' : true;
  return policy.offline && !policy.open;
}

export interface GrantingDeps {
  readonly records: Records;
  readonly clock: Clock;
  readonly report: ReportPull;
}

/** As {@link grants}, where the bytes themselves may tell: what anybody could have somewhere is no secret. */
export async function shows(
  { records }: Pick<GrantingDeps, 'records'>,
  route: Terms,
  digest: Digest,
  obtained: Obtained,
): Promise<boolean> {
  const granted = grants(route, obtained);
  return granted === 'unknown' ? (await records.blob(digest))?.public === true : granted;
}

/** The same of a link. What was pushed is not an upstream's, nor what a public manifest implies. */
export async function linkShows(
  deps: GrantingDeps,
  route: Terms,
  holder: string,
  digest: Digest,
  link: LinkRecord,
): Promise<boolean> {
  if (link.by !== 'upstream') return true;
  if (!(await shows(deps, route, digest, link))) return false;
  if (link.needed === undefined && route.policy.open) await note(deps, holder, digest, { ...link, needed: 'nothing' });
  return true;
}

/** Only saves the next one from finding it out again: what cannot be noted is served all the same (promise 5). */
export async function note({ records, report }: GrantingDeps, holder: string, digest: Digest, link: LinkRecord): Promise<void> {
  try {
    await records.putLink(holder, digest, link);
  } catch (error) {
    report({ kind: 'bypass', reason: troubleOf(error), error });
  }
}
