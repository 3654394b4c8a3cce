import { HOSTED } from '../metadata/records.ts';
import { AdminError } from './admin-error.ts';
import type { AdminOptions } from './admin.ts';
import { isTagged } from './image.ts';

export interface Disowned {
  /** `docker.io/acme/app`. */
  readonly repository: string;
  /** Who answers for it from now on, in order. */
  readonly chain: readonly string[];
}

type DisownOptions = Pick<AdminOptions, 'records' | 'resolve' | 'routeOf'>;

/**
 * Gives a repository back to the rest of its chain (architecture.md, decision 11): what was pushed under its name is dropped,
 * and then the name. Where nobody else is in the chain that would only destroy it.
 */
export async function disown({ records, resolve, routeOf }: DisownOptions, name: string): Promise<Disowned> {
  if (isTagged(name)) throw new AdminError(`${name} names a tag or digest: a repository is given back whole`);
  const { registry, repository } = resolve(name);
  const holder = `${registry}/${repository}`;
  if ((await records.owner(holder)) === undefined)
    throw new AdminError(`${holder} is not hosted here: its chain answers for it`);
  const chain = (routeOf({ registry, repository })?.names ?? []).filter((upstream) => upstream !== HOSTED);
  if (chain.length === 0)
    throw new AdminError(`nobody else would answer for ${holder}: delete its images instead, or write a chain for it first`);
  await records.disown(holder);
  return { repository: holder, chain };
}
