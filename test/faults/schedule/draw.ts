import { createCipheriv } from 'node:crypto';
import { createDice, type Dice } from '../../fakes/dice.ts';
import { blobOf, type Blob } from '../../fakes/images.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import type { Answer, Answers } from './answer.ts';
import type { ObjectName, Schedule, UpstreamPlan, Wish } from './schedule.ts';

const KIB = 1024;

/** One schedule, the same for the same seed. */
export function drawSchedule(seed: number): Schedule {
  const dice = createDice(createSeededRandom(seed * 7919));
  const parallel = dice.pick([1, 1, 1, 1, 4]);
  const sizes = [drawSize(dice), drawSize(dice, parallel)] as const;
  const sizeOf: Readonly<Record<ObjectName, number>> = { manifest: 500, blob0: sizes[0], blob1: sizes[1] };
  const gentle = dice.chance(0.65);
  return {
    seed,
    balance: dice.pick(['failover', 'failover', 'round-robin', 'weighted', 'least-latency', 'budget']),
    replicas: dice.chance(0.3),
    hedge: dice.chance(0.3),
    parallel,
    chain: dice.times(dice.between(1, 4), () => drawUpstream(dice, sizeOf, gentle)),
    blobs: [contentOf(sizes[0], seed * 2), contentOf(sizes[1], seed * 2 + 1)],
    by: dice.pick(['tag', 'digest']),
    rounds: drawRounds(dice, sizeOf),
  };
}

/** Bytes that look random, made fast: the schedules that are being played meanwhile have time limits. */
function contentOf(size: number, seed: number): Blob {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  return blobOf(createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size)));
}

/** A few are large enough to be fetched in several ranges, where that is asked for. */
function drawSize(dice: Dice, parallel = 1): number {
  if (parallel > 1 && dice.chance(0.3)) return dice.between(33 * KIB, 40 * KIB) * KIB;
  if (dice.chance(0.4)) return dice.between(1, 256 * KIB);
  return dice.chance(0.1) ? dice.pick([256 * KIB, 256 * KIB + 1, 320 * KIB]) : dice.between(256 * KIB, 4096 * KIB);
}

function drawUpstream(dice: Dice, sizeOf: Readonly<Record<ObjectName, number>>, gentle: boolean): UpstreamPlan {
  const mode = dice.pick(['up', 'up', 'up', 'up', 'up', 'up', 'up', 'up', 'dead', 'silent'] as const);
  // Each has a temper: some help with all they say, some only now and then, some never.
  const temper = dice.pick(['helpful', 'helpful', 'moody', 'moody', 'hopeless'] as const);
  const of = (object: ObjectName): Answers => drawAnswers(dice, sizeOf[object], temper, gentle);
  const signIn = dice.chance(0.25);
  return { mode, signIn, answers: { manifest: of('manifest'), blob0: of('blob0'), blob1: of('blob1') } };
}

function drawAnswers(dice: Dice, size: number, temper: 'helpful' | 'moody' | 'hopeless', gentle: boolean): Answers {
  const draw = (): Answer => {
    if (temper === 'helpful') return drawHelpful(dice, size);
    if (!gentle && dice.chance(0.4)) return drawWrong(dice, size);
    return dice.chance(temper === 'moody' ? 0.5 : 0) ? drawHelpful(dice, size) : drawFruitless(dice, size);
  };
  const before = dice.times(dice.between(0, 4), draw);
  const last: Answer = temper === 'hopeless' || dice.chance(0.15) ? draw() : { is: 'well' };
  // For ever waiting out the limits makes a schedule long and shows nothing more.
  const waits = last.is === 'silent' || (last.is === 'stall' && last.after < 64 * KIB);
  return [...before, waits ? { is: 'status', code: 503 } : last];
}

/** Brings the rest of the content, or a good deal of it. */
function drawHelpful(dice: Dice, size: number): Answer {
  const after = dice.between(64 * KIB, Math.max(64 * KIB, size));
  return dice.pick<() => Answer>([
    () => ({ is: 'well' }),
    () => ({ is: 'slow', ms: dice.between(1, 60) }),
    () => ({ is: 'unsized' }),
    () => ({ is: 'ignores-range' }),
    () => ({ is: 'cut', after, how: 'fin' }),
    () => ({ is: 'cut', after, how: 'fin' }),
    () => ({ is: 'cut-forgotten', after }),
    () => ({ is: 'stall', after }),
    () => ({ is: 'signed', after: undefined }),
    () => ({ is: 'signed', after }),
  ])();
}

/** Brings nothing, or nobody knows how much. */
function drawFruitless(dice: Dice, size: number): Answer {
  return dice.pick<() => Answer>([
    () => ({ is: 'status', code: dice.pick([500, 502, 503, 504, 404, 403, 401, 401, 429, 416, 302, 200 + 4]) }),
    () => ({ is: 'status', code: dice.pick([500, 502, 503, 504]) }),
    () => ({ is: 'hang-up', how: dice.pick(['fin', 'rst']) }),
    () => ({ is: 'silent' }),
    () => ({ is: 'expired' }),
    () => ({ is: 'cut', after: 0, how: dice.pick(['fin', 'rst']) }),
    () => ({ is: 'cut', after: dice.between(0, size), how: 'rst' }),
    () => ({ is: 'cut', after: dice.between(1, 64 * KIB), how: 'fin' }),
    () => ({ is: 'stall', after: dice.pick([0, 0, dice.between(1, size)]) }),
  ])();
}

function drawWrong(dice: Dice, size: number): Answer {
  const at = dice.between(0, size - 1);
  return dice.pick<() => Answer>([
    () => ({ is: 'flip', at }),
    () => ({ is: 'flip', at: dice.pick([0, size - 1]) }),
    () => ({ is: 'flip-cut', at, after: dice.between(1, size) }),
    () => ({ is: 'other-size', by: dice.pick([1, 1000, 70_000, -1, -Math.ceil(size / 2)]) }),
    () => ({ is: 'lies', by: dice.pick([1, 100_000, -1]) }),
    () => ({ is: 'shifted', by: dice.pick([1, 4096]) }),
  ])();
}

function drawRounds(dice: Dice, sizeOf: Readonly<Record<ObjectName, number>>): Wish[][] {
  const wish = (object: 'blob0' | 'blob1'): Wish => {
    const size = sizeOf[object];
    if (dice.chance(0.1)) return { object, method: 'HEAD' };
    if (dice.chance(0.75)) return { object, method: 'GET' };
    const from = dice.between(0, size - 1);
    return { object, method: 'GET', range: { from, to: dice.between(from + 1, size) } };
  };
  const blobs = [
    ...dice.times(dice.between(1, 3), () => wish('blob0')),
    ...dice.times(dice.between(0, 3), () => wish('blob1')),
  ];
  const manifests = dice.times(dice.between(1, 3), (): Wish => ({ object: 'manifest', method: 'GET' }));
  // As clients pull; some have the manifest already, so that nothing is known of the blobs' sizes.
  return dice.chance(0.7) ? [manifests, blobs] : [blobs];
}
