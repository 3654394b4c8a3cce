import { parseDigest } from '../../../src/oci/digest.ts';
import { shortName } from '../content.ts';
import { pullOne } from '../pull-image.ts';
import { chainNames } from '../settings.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';

const PAGE = 500;

/** Each link's bytes are there, or a pull brings them; each hosted tag points to a manifest that is there. */
export const linksHeal: Check = {
  of: 'I4, I6',
  async onQuiet(world) {
    const { records } = world.server.storage;
    const faults: string[] = [];
    for (const repository of await records.repositories(undefined, PAGE)) {
      for (const { digest, record } of await records.links(repository, undefined, PAGE)) {
        if ((await isHeld(world, digest, record.size)) || world.isRotten(digest)) continue;
        const what = `the link of ${repository} to ${shortName(digest)} (by ${record.by})`;
        if (record.by !== 'upstream' && record.by !== 'public') faults.push(`${what} has no bytes`);
        else if (!(await heals(world, repository, record.kind, digest)))
          faults.push(`${what} has no bytes, and a pull brings none`);
      }
      for (const { tag, record } of await records.hostedTags(repository, undefined, PAGE)) {
        const link = await records.link(repository, record.digest);
        if (link?.kind !== 'manifest')
          faults.push(`the tag ${tag} of ${repository} points to ${shortName(record.digest)}, which is not there`);
        const [last] = await records.tagHistory(repository, tag, 1);
        if (last === undefined || last.digest !== record.digest || last.deleted === true)
          faults.push(`the last move of the tag ${tag} of ${repository} is not what it points to`);
      }
    }
    return faults;
  },
};

async function isHeld({ server }: World, digest: string, size: number): Promise<boolean> {
  const file = await server.storage.blobs.open(parseDigest(digest)!);
  file?.close();
  return file?.size === size;
}

/** Where an upstream still has it. */
async function heals(world: World, holder: string, kind: 'blob' | 'manifest', reference: string): Promise<boolean> {
  const slash = holder.indexOf('/');
  const digest = parseDigest(reference)!;
  const has = chainNames(world.server.config(), holder.slice(0, slash)).some((name) => {
    const found = world.truth.repository(name, holder.slice(slash + 1));
    return (kind === 'blob' ? found?.blobs : found?.manifests)?.has(digest) === true;
  });
  if (!has) return true;
  const answer = await pullOne(world, { method: 'GET', repository: holder, kind, reference }, new AbortController());
  return answer.status === 200 && answer.end === 'whole';
}
