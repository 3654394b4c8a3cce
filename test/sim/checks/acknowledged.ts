import type { Digest } from '../../../src/oci/digest.ts';
import { shortName } from '../content.ts';
import { pullOne } from '../pull-image.ts';
import type { Answer } from '../puller.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';

/** What was acknowledged is readable until its deletion is acknowledged, whatever crashes come between; and gone after it. */
export const acknowledged: Check = {
  of: 'promise 6, I2',
  async onQuiet(world) {
    const faults: string[] = [];
    for (const repository of world.hosted.repositories()) {
      for (const kind of ['blob', 'manifest'] as const) {
        for (const digest of world.hosted.names(repository, kind))
          faults.push(...(await content(world, repository, kind, digest)));
      }
      for (const tag of world.hosted.names(repository, 'tag')) faults.push(...(await tagged(world, repository, tag)));
    }
    return faults;
  },
};

async function content(world: World, repository: string, kind: 'blob' | 'manifest', digest: string): Promise<string[]> {
  const register = world.hosted.content(repository, kind, digest);
  if (register.values.size > 1 || world.isRotten(digest)) return [];
  const answer = await ask(world, repository, kind, digest);
  const what = `the ${kind} ${shortName(digest)} of ${repository}`;
  if (register.is('here')) return isWhole(answer) ? [] : [`${what} was acknowledged: ${answer.status} ${answer.end}`];
  return isOwn(repository) && answer.status === 200 ? [`${what} was deleted, or never pushed: ${answer.status}`] : [];
}

async function tagged(world: World, repository: string, tag: string): Promise<string[]> {
  const { values } = world.hosted.tag(repository, tag);
  const answer = await ask(world, repository, 'manifest', tag);
  const found = answer.status === 200 ? (answer.headers['docker-content-digest'] as Digest) : undefined;
  if ([...values].some((value) => value !== undefined && world.isRotten(value))) return [];
  const isRight =
    answer.status === 200 ? values.has(found) || !isOwn(repository) : answer.status === 404 && values.has(undefined);
  const may = [...values].map(shortName).join(' or ');
  return isRight ? [] : [`the tag ${tag} of ${repository} must be ${may}: ${answer.status} ${shortName(found)}`];
}

function ask(world: World, repository: string, kind: 'blob' | 'manifest', reference: string): Promise<Answer> {
  return pullOne(world, { method: 'GET', repository, kind, reference }, new AbortController());
}

function isWhole({ status, end }: Answer): boolean {
  return status === 200 && end === 'whole';
}

/** Hosted answers alone there. */
function isOwn(repository: string): boolean {
  return repository.startsWith('own.io/');
}
