import { describe, expect } from 'vitest';
import { blobOf, buildImage, randomBlob, type Blob, type Image } from '../fakes/images.ts';
import type { Script } from '../fakes/scripted-behaviour.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { seed, sized, table } from '../scenarios/acceptance.ts';
import { scenario, times } from '../scenarios/harness.ts';
import { ALPINE, blobPath, codeOf, manifestPath } from '../scenarios/paths.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import { routesTo } from '../scenarios/settings.ts';

const KIB = 1024;
const TAIL = 64 * KIB;
const own = { settings: null, timeoutMs: sized(120_000, 3_600_000) };

/** Blobs below and above what is verified before its first byte leaves (256 KiB), and at both edges. */
const SIZES = sized(
  [1, 100_000, 256 * KIB, 256 * KIB + 1, 2_000_000],
  [1, 2, TAIL, TAIL + 1, 100_000, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 330_000, 1_000_000, 2_000_000, 20_000_000],
);

/** Places of every region: the first byte, the middle, around the beginning of the held-back tail, in the tail, the last. */
function placesIn(size: number): number[] {
  const tail = Math.max(0, size - TAIL);
  const even = times(sized(0, 16), (at) => Math.floor((size * at) / 16));
  const places = [0, Math.floor(size / 2), tail - 1, tail, tail + Math.floor((size - tail) / 2), size - 1, ...even];
  return [...new Set(places.filter((place) => place >= 0 && place < size))];
}

/** What an upstream can do wrong with a body of this size, once. */
function wrongs(size: number): { readonly name: string; readonly spoil: (script: Script, blob: Blob) => void }[] {
  const other = (make: (bytes: Buffer) => Buffer) => (script: Script, blob: Blob) =>
    void script.otherBytes(make(blob.bytes)).to('GET').once();
  const nothing = Buffer.alloc(0);
  return [
    ...placesIn(size).map((place) => ({
      name: `byte ${place}`,
      spoil: (script: Script) => void script.flipByte(place).to('GET').once(),
    })),
    { name: 'one byte more', spoil: other((bytes) => Buffer.concat([bytes, Buffer.from('x')])) },
    { name: 'much more', spoil: other((bytes) => Buffer.concat([bytes, bytes, Buffer.alloc(100_000)])) },
    { name: 'the last byte is missing', spoil: other((bytes) => bytes.subarray(0, -1)) },
    { name: 'only the first half', spoil: other((bytes) => bytes.subarray(0, bytes.length >> 1)) },
    { name: 'nothing', spoil: other(() => nothing) },
    {
      name: 'one byte more, without length',
      spoil: (script, blob) => {
        other((bytes) => Buffer.concat([bytes, Buffer.from('x')]))(script, blob);
        script.noLength().to('GET').once();
      },
    },
    {
      name: 'the last byte is missing, without length',
      spoil: (script, blob) => {
        other((bytes) => bytes.subarray(0, -1))(script, blob);
        script.noLength('close').to('GET').once();
      },
    },
  ];
}

interface Seen {
  cases: number;
  cut: number;
  refused: number;
  healed: number;
  counted: number;
}

describe('[P69] a wrong blob is never kept and never served whole', () => {
  scenario(
    `of ${SIZES.length} sizes, wrong in every way`,
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.startProcess(routesTo(upstream));
      for (const size of SIZES) {
        const seen: Seen = { cases: 0, cut: 0, refused: 0, healed: 0, counted: 0 };
        const counted = async (): Promise<number> =>
          (await server.metrics()).sum('entrepot_verify_failures_total', { upstream: 'hub' });
        const before = await counted();
        for (const [at, { name, spoil }] of wrongs(size).entries()) {
          const blob = randomBlob(size, seed * 1000 + at);
          // One bit of a blob of one byte is another blob of this table.
          const repository = `library/size${size}-case${at}`;
          const script = upstream.blob(repository, blob);
          spoil(script, blob);
          await attack(server, upstream, { blob, repository, name: `${size} bytes: ${name}` }, seen);
        }
        seen.counted = (await counted()) - before;
        // A body that ends before its size is one that broke, and is gone on with: not every wrong length is wrong bytes.
        expect(seen.counted).toBeGreaterThanOrEqual(placesIn(size).length);
        show(`blob of ${size} bytes`, seen);
      }
    },
    own,
  );
});

interface Case {
  readonly blob: Blob;
  readonly repository: string;
  readonly name: string;
}

/** Three clients at once ask for what comes wrong; then, the upstream healed, one more. */
async function attack(server: RunningProcess, upstream: ScriptedUpstream, one: Case, seen: Seen): Promise<void> {
  const { blob, repository, name } = one;
  const path = blobPath(blob, repository);
  seen.cases += 1;
  const replies = await Promise.all(times(3, () => server.get(path)));
  let healed = 0;
  for (const reply of replies) {
    if (reply.status !== 200) {
      expect([name, reply.status, await codeOf(reply)]).toEqual([name, 502, 'UNAVAILABLE']);
      seen.refused += 1;
      continue;
    }
    const { bytes, broken } = await reply.untilBroken();
    if (broken) {
      // Before the last byte of what was promised: the blob's size, or what the upstream said that it was.
      const promised = Number(reply.headers['content-length'] ?? blob.size);
      expect([name, bytes.length < promised], `${bytes.length} of ${promised}`).toEqual([name, true]);
      seen.cut += 1;
    } else {
      // Where it could be asked for again before a wrong byte had left, the client sees nothing but the right ones.
      expect([name, Buffer.compare(bytes, blob.bytes)]).toEqual([name, 0]);
      healed += 1;
    }
  }
  await server.settled();
  const asked = upstream.hits(`GET ${blob.digest}`);
  const next = await server.get(path);
  expect([name, next.status, await next.sha256()]).toEqual([name, 200, blob.digest]);
  // What was wrong is asked for again, nothing of it was kept; unless all that is right was there, and was verified.
  if (healed < replies.length) expect([name, upstream.hits(`GET ${blob.digest}`) > asked]).toEqual([name, true]);
  seen.healed += 1;
}

function show(what: string, seen: Seen): void {
  table(what, {
    'ways to be wrong': seen.cases,
    'clients cut before the last byte': seen.cut,
    'clients told 502': seen.refused,
    'right at the next pull': seen.healed,
    'counted by the metric': seen.counted,
    'wrong and complete': 0,
  });
}

/** An image of its own for each case, all of one size: what one case left must not help the next. */
const imageOf = (at: number): Image =>
  buildImage({ layers: [1000], platforms: ['linux/amd64', 'linux/arm64/v8'], label: `case-${String(at).padStart(5, '0')}` });

describe('[P23] a wrong manifest is never kept and never served', () => {
  const { size } = imageOf(0).top;
  const step = sized(Math.ceil(size / 12), 1);
  const places = [...times(Math.ceil(size / step), (at) => at * step), size - 1];
  const spoils: [string, (script: Script, image: Image) => void][] = [
    ...places.map((place): [string, (script: Script) => void] => [`byte ${place}`, (script) => void script.flipByte(place)]),
    ['a space more', (script, { top }) => void script.otherBytes(Buffer.concat([top.bytes, Buffer.from(' ')]))],
    ['a byte less', (script, { top }) => void script.otherBytes(top.bytes.subarray(0, -1))],
    ['nothing', (script) => void script.otherBytes(Buffer.alloc(0))],
    ['another manifest', (script, { manifests }) => void script.otherBytes(manifests[0]!.bytes)],
  ];

  for (const by of ['tag', 'digest'] as const) {
    scenario(
      `by ${by}: a wrong byte anywhere, a byte more, a byte less`,
      async (stage) => {
        const { upstream } = stage;
        const server = await stage.startProcess(routesTo(upstream));
        let refused = 0;
        for (const [at, [name, spoil]] of spoils.entries()) {
          const repository = `library/case${at}`;
          const image = imageOf(at);
          const script = upstream.manifest(repository, '3', image.top);
          spoil(script, image);
          script.to('GET').once();
          const path = manifestPath(by === 'tag' ? '3' : image.top.digest, repository);
          const reply = await server.get(path);
          expect([name, reply.status, await codeOf(reply)]).toEqual([name, 502, 'UNAVAILABLE']);
          refused += 1;
          const asked = upstream.hits(`GET manifest ${repository}/`);
          const next = await server.get(path);
          expect([name, await next.sha256()]).toEqual([name, image.top.digest]);
          expect([name, upstream.hits(`GET manifest ${repository}/`)]).toEqual([name, asked + 1]);
        }
        const counted = (await server.metrics()).sum('entrepot_verify_failures_total');
        expect(counted).toBe(spoils.length);
        table(`manifest of ${size} bytes by ${by}`, {
          'ways to be wrong': spoils.length,
          'told 502': refused,
          'right at the next pull': refused,
          'counted by the metric': counted,
        });
      },
      own,
    );
  }

  scenario(
    'the bytes of another image under the right digest header are refused too',
    async (stage) => {
      const { upstream } = stage;
      const image = imageOf(0);
      const other = blobOf(Buffer.from(`${image.top.bytes.toString()} `));
      upstream.manifest(ALPINE, '3', image.top).otherBytes(other.bytes).digestHeader(image.top.digest);
      const server = await stage.startProcess(routesTo(upstream));
      const reply = await server.get(manifestPath(image.top.digest));
      expect([reply.status, await codeOf(reply)]).toEqual([502, 'UNAVAILABLE']);
    },
    own,
  );
});
