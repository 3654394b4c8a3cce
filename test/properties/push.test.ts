import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { duplicateKey } from '../../src/oci/json-scan.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { RegistryError } from '../../src/oci/errors.ts';
import { BodyCut, type PushBody } from '../../src/push/body.ts';
import { parseContentRange } from '../../src/push/content-range.ts';
import { createFakeClock } from '../fakes/fake-clock.ts';
import { blobOf, randomBlob } from '../fakes/images.ts';
import { createMemoryDisk } from '../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../fakes/memory-metadata.ts';
import { APP, createHouse, heldBytes, HOLDER, type House } from '../unit/push/house.ts';

/** Several processes over one disk and one store. */
async function processes(count: number): Promise<House[]> {
  const clock = createFakeClock();
  const shared = { clock, disk: createMemoryDisk({ now: () => clock.now() }), metadata: createMemoryMetadata() };
  return Promise.all(Array.from({ length: count }, (_, process) => createHouse({ ...shared, process })));
}

/** A body in pieces of this size, which breaks off after `upTo` bytes. */
function cutBody(bytes: Uint8Array, piece: number, upTo: number): PushBody {
  let at = 0;
  return {
    length: undefined,
    async next() {
      if (at >= upTo && upTo < bytes.length) throw new BodyCut('the client has gone');
      const next = bytes.subarray(at, Math.min(at + piece, upTo, bytes.length));
      at += next.length;
      return next.length === 0 ? undefined : next;
    },
  };
}

const chunk = fc.record({
  size: fc.integer({ min: 0, max: 4000 }),
  piece: fc.integer({ min: 1, max: 3000 }),
  house: fc.nat(2),
  ranged: fc.boolean(),
  /** Breaks off after this share of it, and is gone on with from what the server says. */
  cut: fc.option(fc.double({ min: 0, max: 0.99, noNaN: true })),
});

describe('an upload', () => {
  test('is what was sent, however it was cut into chunks, broken off, and spread over processes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(chunk, { maxLength: 8 }),
        fc.boolean(),
        fc.constantFrom('sha256', 'sha512'),
        async (chunks, inPut, algorithm) => {
          const houses = await processes(3);
          const total = chunks.reduce((sum, { size }) => sum + size, 0);
          const blob = blobOf(randomBlob(Math.max(1, total), total).bytes.subarray(0, total), algorithm);
          const at = await houses[0]!.begin();
          let offset = 0;
          for (const [index, { size, piece, house, ranged, cut }] of chunks.entries()) {
            if (inPut && index === chunks.length - 1) break;
            const end = offset + size;
            let left = cut === null || size === 0 ? undefined : Math.floor(size * cut);
            while (offset < end || left !== undefined) {
              const bytes = blob.bytes.subarray(offset, end);
              const headers = ranged && size > 0 ? { contentRange: `${offset}-${end - 1}` } : {};
              const body = cutBody(bytes, piece, left ?? bytes.length);
              const reply = await houses[house]!.ask('PATCH', at, body, headers).catch((error: unknown) => error);
              expect(reply).toMatchObject({ status: left === undefined ? 202 : 400 });
              offset = left === undefined ? end : offset + left;
              left = undefined;
              const status = await houses[(house + 1) % 3]!.ask('GET', at);
              expect(status.headers['range']).toBe(`0-${Math.max(0, offset - 1)}`);
            }
          }
          const closing = await houses[2]!.ask('PUT', `${at}?digest=${blob.digest}`, blob.bytes.subarray(offset));
          expect(closing.status).toBe(201);
          expect((await heldBytes(houses[1]!.blobs, blob.digest))?.equals(blob.bytes)).toBe(true);
          expect(await houses[1]!.blobs.parts()).toEqual([]);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('is never what was not sent, in whatever order requests come and cross', async () => {
    const contents = [randomBlob(3000, 1), randomBlob(3000, 2)];
    const step = fc.record({
      kind: fc.constantFrom('patch', 'patch', 'patch', 'put', 'cancel', 'wait'),
      house: fc.nat(1),
      session: fc.nat(1),
      content: fc.nat(1),
      from: fc.constantFrom(0, 1000, 2000),
      ranged: fc.boolean(),
      together: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
        const houses = await processes(2);
        const sessions = [await houses[0]!.begin(), await houses[1]!.begin()];
        const acknowledged = new Set<(typeof contents)[number]>();
        const running: Promise<unknown>[] = [];
        for (const { kind, house, session, content, from, ranged, together } of steps) {
          const [at, blob] = [sessions[session]!, contents[content]!];
          const bytes = blob.bytes.subarray(from, from + 1000);
          const ask = async (): Promise<void> => {
            if (kind === 'patch')
              await houses[house]!.ask('PATCH', at, bytes, ranged ? { contentRange: `${from}-${from + 999}` } : {});
            if (kind === 'cancel') await houses[house]!.ask('DELETE', at);
            if (kind !== 'put') return;
            await houses[house]!.ask(
              'PUT',
              `${at}?digest=${blob.digest}`,
              ranged ? blob.bytes.subarray(2000) : new Uint8Array(),
            );
            acknowledged.add(blob);
          };
          if (kind === 'wait') await houses[0]!.clock.advance(from * 20);
          const asked = ask().catch((error: unknown) => {
            if (!(error instanceof RegistryError) || error.status >= 500) throw error;
            if (error.code === 'BLOB_UPLOAD_UNKNOWN')
              return houses[house]!.begin().then((path) => void (sessions[session] = path));
            return undefined;
          });
          if (together) running.push(asked);
          else await asked;
        }
        await Promise.all(running);
        for (const blob of contents) {
          const held = await heldBytes(houses[0]!.blobs, blob.digest);
          const link = await houses[1]!.records.link(HOLDER, blob.digest);
          expect(held === undefined || digestOf(held) === blob.digest).toBe(true);
          expect(!acknowledged.has(blob) || (held !== undefined && link !== undefined)).toBe(true);
        }
        const listed = await houses[0]!.records.uploads(undefined, 100);
        expect((await houses[0]!.blobs.parts()).every(({ id }) => listed.some(({ record }) => record?.part === id))).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});

function told(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    if (error instanceof RegistryError) return 'refused';
    throw error;
  }
}

describe('what clients write', () => {
  test('Content-Range is a place of the body’s size, or refused', () => {
    fc.assert(
      fc.property(fc.nat(1e9), fc.nat(1e9), fc.option(fc.nat(1e9)), (from, last, length) => {
        const read = (): unknown => parseContentRange(`${from}-${last}`, length ?? undefined);
        const sound = last >= from && (length === null || length === last - from + 1);
        expect(told(read)).toEqual(sound ? { from, to: last + 1 } : 'refused');
      }),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (/^(?:bytes )?\d{1,15}-\d{1,15}(?:\/(?:\d+|\*))?$/.test(text)) return;
        expect(told(() => parseContentRange(text, undefined))).toBe('refused');
      }),
    );
  });

  test('a key that stands twice is found, however it and what is around it are spelt', () => {
    const key = fc.oneof(fc.string(), fc.constantFrom('layers', 'config', '"', '\\', '{', '}', ','));
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.jsonValue({ maxDepth: 3 })), { maxLength: 8 }), fc.boolean(), (entries, escape) => {
        const escaped = (text: string): string =>
          Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');
        const spelt = (text: string): string => (escape ? `"${escaped(text)}"` : JSON.stringify(text));
        const text = `{ ${entries.map(([name, value]) => `${spelt(name)} : ${JSON.stringify(value)}`).join(' , ')} }`;
        const twice = Object.keys(JSON.parse(text) as object).length < entries.length;
        expect(duplicateKey(new TextEncoder().encode(text)) !== undefined).toBe(twice);
      }),
    );
  });
});

test('the same blob pushed by many at once, to many repositories, is held once and linked everywhere', async () => {
  const houses = await processes(3);
  const blob = randomBlob(2000, 3);
  const paths = Array.from({ length: 9 }, (_, at) => (at === 0 ? APP : `/v2/team/app${at}`));
  await Promise.all(
    paths.map((path, at) => houses[at % 3]!.ask('POST', `${path}/blobs/uploads/?digest=${blob.digest}`, blob.bytes)),
  );
  for (const path of paths)
    expect(await houses[0]!.records.link(`local/${path.slice(4)}`, blob.digest)).toMatchObject({ by: 'push', size: 2000 });
  expect((await heldBytes(houses[0]!.blobs, blob.digest))?.equals(blob.bytes)).toBe(true);
});
