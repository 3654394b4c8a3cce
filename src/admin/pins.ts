import { allRepositories, allTags } from '../metadata/records.ts';
import { AdminError } from './admin-error.ts';
import type { AdminOptions } from './admin.ts';
import { isTagged } from './image.ts';

/** Images that are never evicted, and who said so. */
export interface PinView {
  /** `docker.io/library/*`, `docker.io/library/ubuntu:22.04`. */
  readonly text: string;
  readonly by: 'configuration' | 'command';
}

/** With its test; without a tag, whether all of the repository is pinned. */
export interface NamedPin extends PinView {
  readonly matches: (repository: string, tag: string | undefined) => boolean;
}

export interface Pinned extends PinView {
  /** Whether it names anything that is held now. */
  readonly held: boolean;
}

type PinOptions = Pick<AdminOptions, 'records' | 'resolve' | 'cache'>;

/** Throws AdminError for what can be no pin, and where there are too many. */
export async function pinImages(options: PinOptions, pattern: string): Promise<Pinned> {
  const text = pinText(options, pattern);
  const pin = options.cache.readPin(text);
  if ('fault' in pin) throw new AdminError(`${pattern} can be no pin: ${pin.fault}`);
  if (!(await options.records.pin(text))) throw new AdminError('there are too many pins: unpin some, or write wider patterns');
  return { text, by: 'command', held: await isHeld(options, pin.matches) };
}

/** Throws AdminError where no command pinned it. */
export async function unpinImages(options: PinOptions, pattern: string): Promise<PinView> {
  const text = pinText(options, pattern);
  const gone = await options.records.unpin(text);
  // Said even where a pin went: who takes one back believes that it holds nothing any more.
  if ((await options.cache.pins()).some((one) => one.text === text))
    throw new AdminError(`${text} is pinned by the configuration: take it out there`);
  if (gone) return { text, by: 'command' };
  throw new AdminError(`${text} is not pinned`);
}

/** As pulls read a name: `ubuntu` is docker.io/library/ubuntu. A pattern stands as it is written. */
function pinText({ resolve }: PinOptions, pattern: string): string {
  if (pattern.includes('*')) return pattern;
  const { registry, repository, reference } = resolve(pattern);
  if (reference.includes(':')) throw new AdminError(`${pattern} names a digest: pin its tag, or its repository`);
  return `${registry}/${repository}${isTagged(pattern) ? `:${reference}` : ''}`;
}

async function isHeld({ records }: PinOptions, matches: NamedPin['matches']): Promise<boolean> {
  for await (const repository of allRepositories(records)) {
    if (matches(repository, undefined)) return true;
    for await (const { tag } of allTags(records, repository)) if (matches(repository, tag)) return true;
  }
  return false;
}
