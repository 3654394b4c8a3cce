import { createDice, type Dice } from '../fakes/dice.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { BLOBS, IMAGES, INDEX, SIGNATURE, SPY, imageOf } from './content.ts';
import type { Mood } from './network.ts';
import { UPSTREAMS } from './network.ts';
import type { Wish } from './puller.ts';
import { PLAIN, type Settings } from './settings.ts';
import type { Doing, Step, Way } from './step.ts';
import type { Nature } from './world.ts';

export interface History {
  readonly nature: Nature;
  readonly steps: readonly Step[];
}

/** Who pulls what where, with the tags there. */
const MIRRORED: Readonly<Record<string, { readonly tags: readonly string[]; readonly images: readonly string[] }>> = {
  'docker.io/library/a': { tags: ['latest', 'v1', 'multi'], images: ['i0', 'i1', 'x0', 'sig'] },
  'docker.io/library/b': { tags: ['latest'], images: ['i1', 'i2'] },
  'docker.io/library/c': { tags: ['latest'], images: ['i4', 'i5'] },
  'docker.io/priv/x': { tags: ['latest'], images: ['i3'] },
  'docker.io/spy/y': { tags: ['latest'], images: ['spy', 'i3'] },
  'quay.io/q/c': { tags: ['latest', 'old'], images: ['i2', 'i4'] },
  'mixed.io/base/w': { tags: ['latest'], images: ['i5', 'i0'] },
  'docker.io/evil/e': { tags: ['latest'], images: ['i0'] },
  'thief.io/x/y': { tags: ['latest'], images: ['i3', 'i3', 'spy', 'i0'] },
  'docker.io/library/none': { tags: ['latest'], images: ['i0'] },
};
const HOSTED = ['own.io/team/app', 'own.io/team/web', 'mixed.io/team/app'] as const;
const PUSHABLE = ['i0', 'i1', 'i2', 'i3', 'x0', 'sig'] as const;
const TAGS = ['latest', '1', 'v2'] as const;

/** What a world is mostly about; each has its own mix of steps. */
type Theme = 'mirror' | 'tags' | 'registry' | 'both' | 'disk' | 'network' | 'crashes';

/** One history, the same for the same seed. */
export function drawHistory(seed: number): History {
  const dice = createDice(createSeededRandom(seed * 7919 + 13));
  const theme = dice.pick<Theme>(['tags', 'mirror', 'registry', 'both', 'both', 'disk', 'network', 'crashes', 'crashes']);
  const nature: Nature = {
    seed,
    flavour: dice.chance(0.75) ? 'lmdb' : 'redis',
    tempo: dice.pick(['instant', 'instant', 'jitter', 'slow']),
    settings: dice.chance(0.5) ? PLAIN : drawSettings(dice),
  };
  const count = dice.between(4, 17);
  return { nature, steps: dice.times(count, () => drawStep(dice, theme)) };
}

function drawSettings(dice: Dice): Settings {
  return {
    reversed: dice.chance(0.5),
    balance: dice.pick(['failover', 'failover', 'round-robin', 'least-latency']),
    parallel: dice.pick([1, 1, 4]),
    offline: dice.chance(0.15),
    onDelete: dice.pick(['keep', 'keep', 'drop']),
    prefetch: dice.chance(0.25),
    maxBytes: dice.pick([undefined, undefined, 250_000, 700_000, 3_000_000]),
  };
}

type Kind =
  | 'pull'
  | 'image'
  | 'push'
  | 'blob'
  | 'mount'
  | 'delete'
  | 'upstream'
  | 'collect'
  | 'scrub'
  | 'mood'
  | 'disk'
  | 'metadata'
  | 'damage'
  | 'calm'
  | 'settle'
  | 'jump'
  | 'reload'
  | 'terminate'
  | 'crash';

const USUAL: Readonly<Record<Kind, number>> = {
  pull: 22,
  image: 10,
  push: 10,
  blob: 4,
  mount: 3,
  delete: 4,
  upstream: 4,
  collect: 3,
  scrub: 2,
  mood: 4,
  disk: 1,
  metadata: 1,
  damage: 1,
  calm: 3,
  settle: 5,
  jump: 3,
  reload: 2,
  terminate: 2,
  crash: 4,
};

/** Tags that move while time passes. */
const TAGS_ONLY: Partial<Record<Kind, number>> = {
  push: 0,
  blob: 0,
  mount: 0,
  delete: 0,
  collect: 0,
  crash: 1,
  pull: 4,
  image: 30,
  upstream: 20,
  jump: 1,
};

const MIXES: Readonly<Record<Theme, Partial<Record<Kind, number>>>> = {
  mirror: { push: 0, blob: 0, mount: 0, delete: 1, collect: 0, pull: 40, image: 15 },
  registry: { pull: 12, image: 3, push: 24, blob: 10, mount: 6, delete: 9, collect: 8, mood: 1, upstream: 1, jump: 6 },
  both: {},
  tags: TAGS_ONLY,
  disk: { disk: 9, metadata: 5, calm: 6 },
  network: { mood: 16, push: 2, upstream: 8, pull: 30 },
  crashes: { crash: 14, push: 16, terminate: 4, collect: 6 },
};

function drawStep(dice: Dice, theme: Theme): Step {
  const gap = dice.weigh({ none: 4, moment: 4, second: 2, while: theme === 'tags' ? 12 : 1 });
  const ms = { none: 0, moment: dice.between(1, 40), second: dice.between(200, 3_000), while: dice.between(5_000, 70_000) }[
    gap
  ];
  return { doing: drawDoing(dice, dice.weigh<Kind>({ ...USUAL, ...MIXES[theme] }), theme), gap: ms };
}

function drawDoing(dice: Dice, kind: Kind, theme: Theme): Doing {
  const repository = dice.pick(HOSTED);
  const way = dice.pick<Way>(['monolithic', 'monolithic', 'chunked', 'streamed', 'broken']);
  switch (kind) {
    case 'pull':
      return { do: 'pull', wish: drawWish(dice), times: dice.chance(0.25) ? dice.between(2, 4) : 1 };
    case 'image': {
      const places = Object.entries(MIRRORED).slice(0, theme === 'tags' ? 1 : undefined);
      const [name, { tags }] = dice.pick(places);
      return dice.chance(0.75)
        ? { do: 'pull-image', repository: name, reference: dice.pick(tags) }
        : { do: 'pull-image', repository, reference: dice.pick(TAGS) };
    }
    case 'push':
      return {
        do: 'push-image',
        repository,
        image: dice.pick(PUSHABLE),
        tags: dice.pick([[], ['latest'], ['1'], ['latest', '1'], ['v2']]),
        way,
      };
    case 'blob':
      return { do: 'push-blob', repository, blob: dice.between(0, BLOBS.length - 1), way };
    case 'mount': {
      const from = dice.pick([...HOSTED, 'docker.io/library/a', 'docker.io/priv/x']);
      return { do: 'mount', repository, from, digest: dice.pick(BLOBS).digest };
    }
    case 'delete':
      return drawDeletion(dice, dice.chance(0.85) ? repository : 'docker.io/library/a');
    case 'upstream':
      return drawChange(dice);
    case 'collect':
      return { do: 'collect', dryRun: dice.chance(0.15), deleteUntagged: dice.chance(0.5) };
    case 'scrub':
      return { do: 'scrub', repair: dice.chance(0.7) };
    case 'mood':
      return { do: 'mood', upstream: dice.pick(UPSTREAMS), mood: dice.pick(MOODS) };
    case 'disk':
      return drawDiskFault(dice);
    case 'metadata':
      return { do: 'metadata', health: dice.pick(['down', 'lossy']) };
    case 'damage':
      return {
        do: 'damage',
        digest: dice.pick([...BLOBS, ...IMAGES.map(({ manifest }) => manifest)]).digest,
        how: dice.pick(['gone', 'short', 'flip']),
      };
    case 'jump':
      return { do: 'jump', ms: dice.pick([-7_200_000, -90_000, 60_000, 1_900_000, 3_700_000, 7_300_000, 90_000_000]) };
    case 'reload':
      return { do: 'reload', settings: dice.chance(0.3) ? PLAIN : drawSettings(dice) };
    case 'terminate':
      return { do: 'terminate', drainMs: dice.pick([0, 500, 5_000]) };
    case 'crash':
      return {
        do: 'crash',
        how: dice.pick(['power', 'power', 'kill']),
        after: dice.pick([0, dice.between(1, 60), dice.between(1, 400)]),
      };
    case 'calm':
    case 'settle':
      return { do: kind };
  }
}

const MOODS: readonly Mood[] = [
  'up',
  'up',
  'slow',
  'moody',
  'moody',
  'moody',
  'liar',
  'liar',
  'down',
  'silent',
  'limited',
  'broken',
  'refusing',
];

function drawWish(dice: Dice): Wish {
  const isHosted = dice.chance(0.25);
  const [mirrored, { tags, images }] = dice.pick(Object.entries(MIRRORED));
  const repository = isHosted ? dice.pick(HOSTED) : mirrored;
  const image = imageOf(isHosted ? dice.pick(PUSHABLE) : dice.pick(images));
  const method = dice.chance(0.2) ? 'HEAD' : 'GET';
  if (dice.chance(0.35)) {
    const reference = dice.chance(0.6) ? dice.pick(isHosted ? TAGS : tags) : image.manifest.digest;
    return { method, repository, kind: 'manifest', reference };
  }
  const blob = dice.pick([
    ...image.blobs,
    ...image.children.flatMap(({ blobs }) => blobs),
    ...(image === SPY ? IMAGES[3]!.blobs : []),
  ]);
  const leaves = method === 'GET' && dice.chance(0.12);
  const drips = method === 'GET' && dice.chance(0.12);
  return {
    method,
    repository,
    kind: 'blob',
    reference: blob.digest,
    range: method === 'GET' && dice.chance(0.18) ? drawRange(dice, blob.size) : undefined,
    leavesAfter: leaves ? dice.pick([0, 1, Math.ceil(blob.size / 2)]) : undefined,
    drip: drips ? { bytes: Math.ceil(blob.size / dice.between(2, 6)), ms: dice.pick([5, 300, 2_500]) } : undefined,
  };
}

function drawRange(dice: Dice, size: number): string {
  const from = dice.between(0, size - 1);
  return dice.pick([
    `bytes=${from}-`,
    `bytes=${from}-${dice.between(from, size + 5)}`,
    `bytes=-${dice.between(1, size)}`,
    'bytes=0-0',
    `bytes=${size}-`,
  ]);
}

function drawDeletion(dice: Dice, repository: string): Doing {
  const kind = dice.pick(['blob', 'manifest', 'tag'] as const);
  if (kind === 'tag') return { do: 'delete', repository, kind: 'manifest', reference: dice.pick(TAGS) };
  const image = imageOf(dice.pick(PUSHABLE));
  if (kind === 'blob' && image.blobs.length > 0)
    return { do: 'delete', repository, kind, reference: dice.pick(image.blobs).digest };
  return { do: 'delete', repository, kind: 'manifest', reference: image.manifest.digest };
}

function drawChange(dice: Dice): Doing {
  const place = dice.pick([
    { upstream: 'hub-a', repository: 'library/a', tags: ['latest', 'multi', 'new'] },
    { upstream: 'hub-b', repository: 'library/a', tags: ['latest', 'multi', 'new'] },
    { upstream: 'hub-a', repository: 'library/b', tags: ['latest'] },
    { upstream: 'quay', repository: 'q/c', tags: ['latest', 'old'] },
  ]);
  const { upstream, repository } = place;
  const tag = dice.pick(place.tags);
  if (dice.chance(0.2)) return { do: 'untag', upstream, repository, tag };
  return { do: 'move', upstream, repository, tag, image: dice.pick(['i0', 'i1', 'i2', INDEX.name, SIGNATURE.name]) };
}

function drawDiskFault(dice: Dice): Doing {
  const nth = dice.chance(0.5) ? dice.between(1, 6) : undefined;
  return dice.pick<() => Doing>([
    () => ({ do: 'disk', on: ['write'], as: 'ENOSPC', nth }),
    () => ({ do: 'disk', on: ['write', 'makeDirectory', 'rename'], as: 'ENOSPC', nth }),
    () => ({
      do: 'disk',
      on: [dice.pick(['open', 'read', 'write', 'sync', 'rename', 'unlink', 'stat', 'syncDirectory', 'size', 'truncate'])],
      as: 'EIO',
      nth,
    }),
    () => ({ do: 'disk', on: ['open'], as: 'EMFILE', nth }),
    () => ({ do: 'disk', on: ['read'], as: { short: dice.pick([1, 100, 4_096]) }, nth: undefined }),
    () => ({ do: 'disk', on: ['write', 'rename', 'unlink', 'makeDirectory', 'truncate'], as: 'EROFS', nth: undefined }),
    () => ({ do: 'disk', on: ['read', 'stat', 'open'], as: 'ESTALE', nth: dice.between(1, 6) }),
  ])();
}
