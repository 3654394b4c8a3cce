import type { Digest } from '../../src/oci/digest.ts';
import { imageByDigest, shortName } from './content.ts';
import { pull, type Answer, type Wish } from './puller.ts';
import { wishText } from './step.ts';
import type { World } from './world.ts';

/** One request, judged when it has ended. */
export async function pullOne(world: World, wish: Wish, gone: AbortController): Promise<Answer> {
  const { server } = world;
  const sure = world.surely(wish.repository, wish.kind, wish.reference);
  const answer = { ...(await pull(server, wish, world.waiting, gone.signal)), sure };
  if (server.life.isOver()) return { ...answer, end: 'lost' };
  world.answers.push(answer);
  const { status, end, bytes, outcome, why } = answer;
  const said = why instanceof Error ? `: ${why.message}` : '';
  world.note(
    `${wishText(wish).join(' ')} → ${status} ${end} ${bytes.length} bytes ${outcome ?? ''}${end === 'whole' ? '' : said}`,
  );
  world.judge.answer(world, answer);
  return answer;
}

/** The manifest, its children, then all blobs at once. */
export async function pullImage(world: World, repository: string, reference: string, gone: AbortController): Promise<void> {
  const top = await pullOne(world, { method: 'GET', repository, kind: 'manifest', reference }, gone);
  const image =
    top.status === 200 && top.end === 'whole' ? imageByDigest(top.headers['docker-content-digest'] as Digest) : undefined;
  if (image === undefined) return;
  for (const child of image.children) await pullImage(world, repository, child.manifest.digest, gone);
  await Promise.all(
    image.blobs.map(({ digest }) => pullOne(world, { method: 'GET', repository, kind: 'blob', reference: digest }, gone)),
  );
}

export function answerText({ wish, status, end }: Answer): string {
  return `${wish.method} ${wish.repository} ${shortName(wish.reference)}: ${status}, ${end}`;
}
