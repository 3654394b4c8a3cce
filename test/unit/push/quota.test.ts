import { describe, expect, test } from 'vitest';
import { CLAIM_MS } from '../../../src/push/claim.ts';
import { purgeOnce } from '../../../src/push/purge.ts';
import { recount } from '../../../src/push/recount.ts';
import type { PushRoute } from '../../../src/push/request.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { buildImage, randomBlob, type Blob } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { APP, bodyOf, createHouse, HOLDER, slowBody, type House } from './house.ts';

const OTHER = '/v2/team/other';
const FULL = '403 DENIED';
const uploadsOf = (base: string): string => `${base}/blobs/uploads/`;
const sessionOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const route = (quota: number | undefined): PushRoute => ({
  name: 'own',
  deny: false,
  hosted: true,
  push: true,
  quota,
  policy: { immutable: () => false },
});

/** Houses over one disk and store, each with its own route object, as processes have. */
async function houses(quota: number | undefined, count = 1): Promise<House[]> {
  const clock = createFakeClock();
  const shared = { clock, disk: createMemoryDisk({ now: () => clock.now() }), metadata: createMemoryMetadata() };
  return Promise.all(
    Array.from({ length: count }, (_, process) => {
      const own = route(quota);
      return createHouse({ ...shared, process, router: () => own });
    }),
  );
}

async function house(quota: number | undefined): Promise<House> {
  const [one] = await houses(quota);
  return one!;
}

const post = (to: House, base: string, blob: Blob) => to.ask('POST', `${uploadsOf(base)}?digest=${blob.digest}`, blob.bytes);
const refusedPost = (to: House, base: string, blob: Blob) =>
  to.refusal('POST', `${uploadsOf(base)}?digest=${blob.digest}`, blob.bytes);
const sums = (of: House) => of.records.quota.sums('own');

/** What a refusal leaves behind: nothing. */
async function expectNothingLeft(of: House): Promise<void> {
  expect((await sums(of)).reserved).toBe(0);
  expect(await of.blobs.parts()).toEqual([]);
  expect(await of.records.uploads(undefined, 10)).toEqual([]);
}

describe('quota of a route', () => {
  test('a blob that would pass it is refused before it begins, with what there is, and leaves nothing', async () => {
    const one = await house(1500);
    await post(one, APP, randomBlob(1000, 1));
    const body = bodyOf([randomBlob(501, 2).bytes], 501);
    const unread = { ...body, next: () => Promise.reject(new Error('it was read')) };
    const path = `${uploadsOf(APP)}?digest=${randomBlob(501, 2).digest}`;
    const refused = await one.ask('POST', path, unread).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'DENIED',
      status: 403,
      detail: { route: 'own', limit: 1500, used: 1000, reserved: 0, asked: 501 },
    });
    expect(String(refused)).toContain('the quota of the route own is 1500 bytes');
    await expectNothingLeft(one);
    await post(one, APP, randomBlob(500, 3));
    expect(await sums(one)).toEqual({ used: 1500, reserved: 0 });
    // Not even an upload of unknown size begins now.
    expect(await one.refusal('POST', uploadsOf(APP))).toBe(FULL);
  });

  test('a chunk that would pass it is refused unread, and the upload is gone', async () => {
    const one = await house(1500);
    const at = await one.begin();
    await one.ask('PATCH', at, randomBlob(1000, 1).bytes);
    expect(await sums(one)).toEqual({ used: 0, reserved: 1000 });
    const unread = { length: 501, next: () => Promise.reject(new Error('it was read')) };
    expect(await one.refusal('PATCH', at, unread)).toBe(FULL);
    expect(await one.refusal('PATCH', at, Buffer.alloc(1))).toBe('404 BLOB_UPLOAD_UNKNOWN');
    await expectNothingLeft(one);
  });

  test('a body without length is refused where it passes, and the upload is gone', async () => {
    const one = await house(1500);
    const at = await one.begin();
    const pieces = Array.from({ length: 20 }, () => Buffer.alloc(100));
    const body = bodyOf(pieces);
    expect(await one.refusal('PATCH', at, body)).toBe(FULL);
    await expectNothingLeft(one);
    const again = await one.begin();
    await one.ask('PATCH', again, bodyOf(pieces.slice(0, 15)));
    expect(await sums(one)).toEqual({ used: 0, reserved: 1500 });
  });

  test('what stands there already adds nothing, however full it is; elsewhere it counts again', async () => {
    const one = await house(2000);
    const blob = randomBlob(1000, 1);
    await post(one, APP, blob);
    await post(one, APP, blob);
    expect(await sums(one)).toEqual({ used: 1000, reserved: 0 });
    await one.ask('POST', `${uploadsOf(OTHER)}?mount=${blob.digest}&from=team/app`);
    expect(await sums(one)).toEqual({ used: 2000, reserved: 0 });
    await post(one, APP, blob);
    await one.ask('POST', `${uploadsOf(OTHER)}?mount=${blob.digest}&from=team/app`);
    expect(await one.refusal('POST', `${uploadsOf('/v2/a/third')}?mount=${blob.digest}&from=team/app`)).toBe(FULL);
    expect(await sums(one)).toEqual({ used: 2000, reserved: 0 });
  });

  test('manifests count, a further tag does not, and what is deleted is given back', async () => {
    const { config, layers, top } = buildImage();
    const contents = config.size + layers[0]!.size;
    const one = await house(contents + top.size);
    await post(one, APP, config);
    await post(one, APP, layers[0]!);
    const headers = { contentType: top.mediaType };
    await one.ask('PUT', `${APP}/manifests/1`, top.bytes, headers);
    expect(await sums(one)).toEqual({ used: contents + top.size, reserved: 0 });
    await one.ask('PUT', `${APP}/manifests/2`, top.bytes, headers);
    const more = Buffer.concat([top.bytes, Buffer.from('\n')]);
    expect(await one.refusal('PUT', `${APP}/manifests/3`, more, headers)).toBe(FULL);
    await expectNothingLeft(one);
    await one.ask('DELETE', `${APP}/manifests/${top.digest}`);
    expect(await sums(one)).toEqual({ used: contents, reserved: 0 });
    await one.ask('DELETE', `${APP}/blobs/${config.digest}`);
    expect(await sums(one)).toEqual({ used: layers[0]!.size, reserved: 0 });
  });

  test('uploads that run side by side, in two processes, do not pass it together', async () => {
    const [one, other] = await houses(2500, 2);
    const paths = await Promise.all(Array.from({ length: 6 }, (_, at) => [one!, other!][at % 2]!.begin()));
    const blobs = paths.map((_, at) => randomBlob(1000, at + 1));
    const done = await Promise.all(
      paths.map((path, at) =>
        [one!, other!][at % 2]!.ask('PUT', `${path}?digest=${blobs[at]!.digest}`, blobs[at]!.bytes).then(
          ({ status }) => String(status),
          (error: { status: number; code: string }) => `${error.status} ${error.code}`,
        ),
      ),
    );
    expect(done.toSorted()).toEqual(['201', '201', FULL, FULL, FULL, FULL]);
    expect(await sums(one!)).toEqual({ used: 2000, reserved: 0 });
    expect(await one!.records.quota.hostedBytes(HOLDER)).toBe(2000);
  });

  test('what an upload has set aside survives a restart, and ends with it, by whatever end', async () => {
    const [one, other] = await houses(2500, 2);
    const [first, second] = [await one!.begin(), await one!.begin()];
    const blob = randomBlob(1000, 1);
    await one!.ask('PATCH', first, blob.bytes.subarray(0, 900));
    await one!.ask('PATCH', second, randomBlob(1000, 2).bytes);
    expect(await refusedPost(other!, APP, randomBlob(700, 3))).toBe(FULL);
    await other!.ask('DELETE', second);
    await other!.ask('PUT', `${first}?digest=${blob.digest}`, blob.bytes.subarray(900));
    expect(await sums(other!)).toEqual({ used: 1000, reserved: 0 });
    const wrong = await other!.begin();
    expect(await other!.refusal('PUT', `${wrong}?digest=${blob.digest}`, randomBlob(7, 4).bytes)).toBe('400 DIGEST_INVALID');
    await expectNothingLeft(other!);
  });

  test('an upload that was purged stands in nobody’s way', async () => {
    const one = await house(1500);
    const at = await one.begin();
    await one.ask('PATCH', at, randomBlob(1000, 1).bytes);
    await one.clock.advance(60_000);
    await purgeOnce({ ...one, report: () => undefined }, { enabled: true, age: 1000, interval: 1, dryRun: false });
    await post(one, APP, randomBlob(1200, 2));
    expect(await sums(one)).toEqual({ used: 1200, reserved: 0 });
  });

  test('what was cut off keeps only what came', async () => {
    const one = await house(2000);
    const at = await one.begin();
    const pieces = [Buffer.alloc(300)];
    const body = {
      length: 1900,
      next: () => (pieces.length > 0 ? Promise.resolve(pieces.pop()) : Promise.reject(new Error('cut'))),
    };
    await one.ask('PATCH', at, body).catch(() => undefined);
    expect((await sums(one)).reserved).toBeLessThanOrEqual(300);
  });

  test('what is cancelled while it is sent has nothing set aside', async () => {
    const one = await house(20_000_000);
    const at = await one.begin();
    const body = slowBody();
    const sending = one.refusal('PATCH', at, body);
    body.send(Buffer.alloc(100));
    while ((await sums(one)).reserved === 0) await Promise.resolve();
    await one.ask('DELETE', at);
    expect((await sums(one)).reserved).toBe(0);
    body.send(Buffer.alloc(6_000_000));
    body.end();
    expect(await sending).toBe('404 BLOB_UPLOAD_UNKNOWN');
    await expectNothingLeft(one);
  });

  test('what only says that it is there already has no more room than that', async () => {
    const one = await house(1500);
    const blob = randomBlob(1000, 1);
    await post(one, APP, blob);
    const at = await one.begin();
    const pieces = Array.from({ length: 20 }, () => Buffer.alloc(100));
    expect(await one.refusal('PUT', `${at}?digest=${blob.digest}`, bodyOf(pieces))).toBe(FULL);
    await expectNothingLeft(one);
  });

  test('lowered by a reload, nothing goes, and nothing more comes', async () => {
    let now = route(2000);
    const one = await createHouse({ router: () => now });
    const blob = randomBlob(1000, 1);
    await post(one, APP, blob);
    now = route(500);
    expect(await refusedPost(one, APP, randomBlob(1, 2))).toBe(FULL);
    expect(await one.records.link(HOLDER, blob.digest)).toBeDefined();
    now = route(3000);
    await post(one, APP, randomBlob(1, 2));
  });

  test('set over what was pushed before, or changed without it, it counts what is there', async () => {
    let now = route(undefined);
    const one = await createHouse({ router: () => now });
    await post(one, APP, randomBlob(1000, 1));
    expect(one.metadata.keys().filter((key) => key.startsWith('quota/'))).toEqual([]);
    now = route(1500);
    expect(await refusedPost(one, APP, randomBlob(501, 2))).toBe(FULL);
    now = route(undefined);
    await one.ask('DELETE', `${APP}/blobs/${randomBlob(1000, 1).digest}`);
    now = route(1500);
    await post(one, APP, randomBlob(501, 2));
    expect(await sums(one)).toEqual({ used: 501, reserved: 0 });
  });

  test('repositories of another route do not count', async () => {
    const [own, others] = [route(1500), { ...route(9000), name: 'others' }];
    const one = await createHouse({ router: ({ repository }) => (repository === 'team/app' ? own : others) });
    await post(one, OTHER, randomBlob(1000, 1));
    await post(one, APP, randomBlob(1500, 2));
    expect(await sums(one)).toEqual({ used: 1500, reserved: 0 });
    expect(await one.records.quota.sums('others')).toEqual({ used: 1000, reserved: 0 });
  });
});

test('wherever a crash comes, the next process counts exactly what is there', async () => {
  const image = buildImage({ layers: [700, 900] });
  for (let nth = 1, crashed = true; crashed; nth += 1) {
    const clock = createFakeClock();
    const shared = { clock, disk: createMemoryDisk({ now: () => clock.now() }), metadata: createMemoryMetadata() };
    const own = route(1_000_000);
    const one = await createHouse({ ...shared, router: () => own });
    await one.records.ping();
    let left = nth;
    shared.metadata.beforeCommit(() => {
      if (--left <= 0) throw new Error('the power is gone');
    });
    await pushAndDelete(one, image).catch(() => undefined);
    crashed = left <= 0;
    shared.metadata.beforeCommit(undefined);
    const next = route(1_000_000);
    const other = await createHouse({ ...shared, process: 1, router: () => next });
    await clock.advance(CLAIM_MS);
    const counted = await recount(other, 'own', () => true);
    const held = await other.records.quota.hostedBytes(HOLDER);
    expect(counted.used, `commit ${nth}`).toBe(held);
    const uploads = await other.records.uploads(undefined, 99);
    for (const { repository, id } of uploads) await other.records.dropUpload(repository, id);
    clock.jump(3_600_000);
    expect(await recount(other, 'own', () => true)).toEqual({ used: held, reserved: 0 });
  }
});

async function pushAndDelete(one: House, { config, layers, top }: ReturnType<typeof buildImage>): Promise<void> {
  for (const blob of [config, ...layers]) {
    const at = await one.begin();
    await one.ask('PATCH', at, blob.bytes.subarray(0, 100));
    await one.ask('PUT', `${at}?digest=${blob.digest}`, blob.bytes.subarray(100));
  }
  await one.ask('PUT', `${APP}/manifests/1`, top.bytes, { contentType: top.mediaType });
  await one.ask('DELETE', `${APP}/manifests/${top.digest}`);
  await one.ask('DELETE', `${APP}/blobs/${config.digest}`);
}

test('an upload’s reservation is its session’s', async () => {
  const one = await house(5000);
  const at = await one.begin();
  await one.ask('PATCH', at, Buffer.alloc(10));
  expect(await one.records.quota.reservations('own', undefined, 9)).toMatchObject([
    { id: sessionOf(at), repository: HOLDER, bytes: 10, upload: true },
  ]);
});
