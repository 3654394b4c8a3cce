import { describe, expect, test } from 'vitest';
import { CLAIM_MS, RENEW_MS } from '../../../src/push/claim.ts';
import { purgeOnce, purgeUploads } from '../../../src/push/purge.ts';
import { sweepOnce } from '../../../src/pull/fill/sweep.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { blobOf, buildImage, randomBlob } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { APP, bodyOf, createHouse, heldBytes, HOLDER, slowBody, type House } from './house.ts';

const DAY_MS = 24 * 3600_000;
const blob = randomBlob(1000);
const sessionOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
};

/** Several processes over one disk and one store. */
async function processes(count: number): Promise<House[]> {
  const clock = createFakeClock();
  const shared = { clock, disk: createMemoryDisk({ now: () => clock.now() }), metadata: createMemoryMetadata() };
  return Promise.all(Array.from({ length: count }, (_, process) => createHouse({ ...shared, process })));
}

describe('[S41] one request at a time writes to an upload', () => {
  test('a second one, in this process or another, is told so, and the first goes on', async () => {
    const [one, other] = await processes(2);
    const at = await one!.begin();
    const body = slowBody();
    const first = one!.ask('PATCH', at, body);
    body.send(blob.bytes.subarray(0, 600));
    await turns();
    for (const house of [one!, other!]) {
      for (const method of ['PATCH', 'PUT'] as const) {
        const path = method === 'PUT' ? `${at}?digest=${blob.digest}` : at;
        expect(await house.refusal(method, path, Buffer.alloc(10))).toBe('409 BLOB_UPLOAD_INVALID');
      }
    }
    body.send(blob.bytes.subarray(600));
    body.end();
    expect((await first).headers['range']).toBe('0-999');
    await other!.ask('PUT', `${at}?digest=${blob.digest}`);
    expect((await heldBytes(other!.blobs, blob.digest))?.equals(blob.bytes)).toBe(true);
    expect(one!.clock.pending()).toBe(0);
  });

  test('a writer that lives keeps its right for as long as its body takes', async () => {
    const [one, other] = await processes(2);
    const at = await one!.begin();
    const body = slowBody();
    const first = one!.ask('PATCH', at, body);
    for (let minute = 0; minute < 5; minute += 1) {
      body.send(blob.bytes.subarray(minute * 200, minute * 200 + 200));
      await one!.clock.advance(60_000);
      expect(await other!.refusal('PATCH', at, Buffer.alloc(1))).toBe('409 BLOB_UPLOAD_INVALID');
    }
    body.end();
    expect((await first).headers['range']).toBe('0-999');
  });

  test('one that stood still is followed by another, whose bytes it cannot touch any more', async () => {
    // The first one's process stands still: it neither renews, nor sees the time.
    const [still, clock] = [createFakeClock(), createFakeClock()];
    const shared = { disk: createMemoryDisk(), metadata: createMemoryMetadata() };
    const one = await createHouse({ ...shared, clock: still });
    const other = await createHouse({ ...shared, clock, process: 1 });
    const at = await one.begin();
    await one.ask('PATCH', at, blob.bytes.subarray(0, 400));
    const body = slowBody();
    const first = one.refusal('PATCH', at, body);
    await turns();
    await clock.advance(CLAIM_MS + 1);
    await other.ask('PATCH', at, blob.bytes.subarray(400), { contentRange: '400-999' });
    // It goes on, as if no time had passed.
    body.send(Buffer.alloc(600, 'x'));
    await turns();
    body.end();
    expect(await first).toBe('404 BLOB_UPLOAD_UNKNOWN');
    await other.ask('PUT', `${at}?digest=${blob.digest}`);
    expect((await heldBytes(other.blobs, blob.digest))?.equals(blob.bytes)).toBe(true);
    expect(await other.blobs.parts()).toEqual([]);
  });

  test('one that could not renew its right stops by itself', async () => {
    const [one] = await processes(1);
    const at = await one!.begin();
    const body = slowBody();
    const first = one!.refusal('PATCH', at, body);
    await turns();
    one!.metadata.setDown(true);
    await one!.clock.advance(CLAIM_MS + 1);
    body.send(blob.bytes);
    expect(await first).toBe('503 UNAVAILABLE');
    one!.metadata.setDown(false);
    await one!.clock.advance(CLAIM_MS);
    await one!.ask('PUT', `${at}?digest=${blob.digest}`, blob.bytes);
  });

  test('one that died without a word is followed at once where that is known', async () => {
    const [one] = await processes(1);
    const at = await one!.begin();
    const body = slowBody();
    void one!.ask('PATCH', at, body).catch(() => undefined);
    await turns();
    const { clock, disk, metadata } = one!;
    const next = await createHouse({ clock, disk, metadata, process: 1, isDead: (holder) => holder === 'host 0 x' });
    await next.ask('PUT', `${at}?digest=${blob.digest}`, blob.bytes);
    expect((await heldBytes(next.blobs, blob.digest))?.equals(blob.bytes)).toBe(true);
    body.cut();
  });

  test('of many that begin at once exactly one writes', async () => {
    const houses = await processes(4);
    const at = await houses[0]!.begin();
    const all = await Promise.allSettled(
      Array.from({ length: 16 }, (_, n) => houses[n % 4]!.ask('PATCH', at, Buffer.alloc(50, n), { contentRange: '0-49' })),
    );
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const winner = all.findIndex(({ status }) => status === 'fulfilled');
    const { digest, bytes } = blobOf(Buffer.alloc(50, winner));
    await houses[3]!.ask('PUT', `${at}?digest=${digest}`);
    expect((await heldBytes(houses[0]!.blobs, digest))?.equals(bytes)).toBe(true);
  });

  test('what a dead writer left behind the acknowledged bytes is cut off', async () => {
    const house = await createHouse();
    const at = await house.begin();
    await house.ask('PATCH', at, blob.bytes.subarray(0, 400));
    const { part: id } = (await house.records.upload(HOLDER, sessionOf(at)))!;
    const part = await house.blobs.part(id, true);
    await part.write(Buffer.alloc(5000, 'x'), 400);
    part.release();
    await house.ask('PUT', `${at}?digest=${blob.digest}`, blob.bytes.subarray(400));
    expect((await heldBytes(house.blobs, blob.digest))?.equals(blob.bytes)).toBe(true);
  });

  test('a hash that has not seen every byte is not believed', async () => {
    const [one, other] = await processes(2);
    const at = await one!.begin();
    await one!.ask('PATCH', at, blob.bytes.subarray(0, 300));
    await other!.ask('PATCH', at, blob.bytes.subarray(300, 600));
    await one!.ask('PATCH', at, blob.bytes.subarray(600));
    expect((await one!.ask('PUT', `${at}?digest=${blob.digest}`)).status).toBe(201);
  });
});

describe('what a client sent before it left', () => {
  test('is kept, and can be gone on with', async () => {
    const house = await createHouse();
    const at = await house.begin();
    const body = slowBody();
    const first = house.refusal('PATCH', at, body);
    body.send(blob.bytes.subarray(0, 700));
    body.cut();
    expect(await first).toBe('400 BLOB_UPLOAD_INVALID');
    expect((await house.ask('GET', at)).headers['range']).toBe('0-699');
    await house.ask('PUT', `${at}?digest=${blob.digest}`, blob.bytes.subarray(700), { contentRange: '700-999' });
    expect((await heldBytes(house.blobs, blob.digest))?.equals(blob.bytes)).toBe(true);
    await house.blobs.close();
    expect(house.disk.openFiles()).toEqual([]);
  });

  test('of a blob in one POST is dropped: it was not told where to go on', async () => {
    const house = await createHouse();
    const body = slowBody();
    const only = house.refusal('POST', `${APP}/blobs/uploads/?digest=${blob.digest}`, body);
    body.send(blob.bytes.subarray(0, 700));
    body.cut();
    expect(await only).toBe('400 BLOB_UPLOAD_INVALID');
    expect([await house.blobs.parts(), await house.records.uploads(undefined, 10)]).toEqual([[], []]);
  });

  test('is not read through to its end for a client that has gone, who may finish it later', async () => {
    const [one, other] = await processes(2);
    const large = randomBlob(2_500_000);
    const at = await one!.begin();
    await one!.ask('PATCH', at, large.bytes);
    const gone = new AbortController();
    const leave = (): boolean => {
      gone.abort(new Error('the client has gone'));
      return false;
    };
    const lift = other!.disk.fail({ on: 'read', when: leave, as: 'EIO' });
    const before = other!.disk.calls('read');
    // Another process has seen none of it.
    const path = `${at}?digest=${large.digest}`;
    expect(await other!.refusal('PUT', path, new Uint8Array(), { signal: gone.signal })).toBe('400 BLOB_UPLOAD_INVALID');
    expect(other!.disk.calls('read') - before).toBe(1);
    expect(other!.disk.openFiles()).toEqual([]);
    lift();
    expect((await other!.ask('PUT', path)).status).toBe(201);
  });

  test('behind its Content-Range is not taken', async () => {
    const house = await createHouse();
    const at = await house.begin();
    const more = bodyOf([blob.bytes.subarray(0, 500), blob.bytes.subarray(500)]);
    expect(await house.refusal('PATCH', at, more, { contentRange: '0-499' })).toBe('400 SIZE_INVALID');
    expect((await house.ask('GET', at)).headers['range']).toBe('0-499');
    const less = bodyOf([blob.bytes.subarray(500, 600)]);
    expect(await house.refusal('PATCH', at, less, { contentRange: '500-999' })).toBe('400 SIZE_INVALID');
    expect((await house.ask('GET', at)).headers['range']).toBe('0-599');
  });
});

describe('trouble', () => {
  test('a disk that is full is 507, and nothing is promised', async () => {
    const disk = createMemoryDisk({ totalBytes: 20 * 1024 * 1024 });
    const house = await createHouse({ disk });
    const large = bodyOf([], 30 * 1024 * 1024);
    expect(await house.refusal('POST', `${APP}/blobs/uploads/?digest=${blob.digest}`, large)).toBe('507 UNAVAILABLE');
    const at = await house.begin();
    const lift = disk.fail({ on: 'write', as: 'ENOSPC' });
    expect(await house.refusal('PATCH', at, blob.bytes)).toBe('507 UNAVAILABLE');
    lift();
    expect((await house.ask('GET', at)).headers['range']).toBe('0-0');
    await house.ask('PUT', `${at}?digest=${blob.digest}`, blob.bytes);
    expect(house.events.map(({ kind }) => kind)).toEqual(['push-failed', 'kept']);
  });

  test.each(['sync', 'write', 'rename', 'syncDirectory'] as const)(
    'a %s that fails is 503, never an acknowledgement',
    async (on) => {
      const house = await createHouse();
      const at = await house.begin();
      const lift = house.disk.fail({ on, as: 'EIO' });
      expect(await house.refusal('PUT', `${at}?digest=${blob.digest}`, blob.bytes)).toBe('503 UNAVAILABLE');
      lift();
      expect(await house.records.link(HOLDER, blob.digest)).toBeUndefined();
      expect(house.disk.openFiles()).toEqual([]);
      const again = await house.begin();
      expect((await house.ask('PUT', `${again}?digest=${blob.digest}`, blob.bytes)).status).toBe(201);
    },
  );

  test('metadata that are down are 503', async () => {
    const house = await createHouse();
    const at = await house.begin();
    house.metadata.setDown(true);
    expect(await house.refusal('PATCH', at, blob.bytes)).toBe('503 UNAVAILABLE');
    expect(await house.refusal('POST', `${APP}/blobs/uploads/`)).toBe('503 UNAVAILABLE');
    expect(await house.refusal('PUT', `${APP}/manifests/x`, Buffer.from('{}'))).not.toBe('404 NAME_UNKNOWN');
    house.metadata.setDown(false);
    await house.ask('PUT', `${at}?digest=${blob.digest}`, blob.bytes);
  });

  test('a blob that is being deleted is waited for, then written again', async () => {
    const house = await createHouse();
    const { records, blobs, clock } = house;
    await house.ask('POST', `${APP}/blobs/uploads/?digest=${blob.digest}`, blob.bytes);
    await house.ask('DELETE', `${APP}/blobs/${blob.digest}`);
    await clock.advance(2 * 3600_000);
    await records.dropHolder(HOLDER, blob.digest);
    expect(await records.markDeleting(blob.digest, await records.blob(blob.digest))).toBe(true);
    const again = house.ask('POST', `${APP}/blobs/uploads/?digest=${blob.digest}`, blob.bytes);
    await clock.advance(200);
    await blobs.remove(blob.digest);
    await records.forget(blob.digest);
    await clock.advance(200);
    expect((await again).status).toBe(201);
    expect((await heldBytes(blobs, blob.digest))?.equals(blob.bytes)).toBe(true);
    expect((await records.blob(blob.digest))?.state).toBe('held');
  });

  test('a part that lost what was acknowledged ends its upload', async () => {
    const house = await createHouse();
    const at = await house.begin();
    await house.ask('PATCH', at, blob.bytes);
    const upload = await house.records.upload(HOLDER, sessionOf(at));
    await house.blobs.removePart(upload!.part);
    expect(await house.refusal('PUT', `${at}?digest=${blob.digest}`)).toBe('404 BLOB_UPLOAD_UNKNOWN');
    expect(await house.records.upload(HOLDER, sessionOf(at))).toBeUndefined();
    expect(await house.blobs.parts()).toEqual([]);
  });
});

describe('cancelling', () => {
  test('ends a request that writes just now, and takes its bytes along', async () => {
    const [one, other] = await processes(2);
    for (const house of [one!, other!]) {
      const at = await one!.begin();
      const body = slowBody();
      const writing = one!.refusal('PATCH', at, body);
      body.send(blob.bytes);
      await turns();
      expect((await house.ask('DELETE', at)).status).toBe(204);
      // It hears of it when it next says that it lives, and reads no more then.
      await one!.clock.advance(RENEW_MS);
      body.send(blob.bytes);
      expect(await writing).toBe('404 BLOB_UPLOAD_UNKNOWN');
      expect(await one!.blobs.parts()).toEqual([]);
      await one!.clock.advance(RENEW_MS * 3);
      expect(await one!.records.uploads(undefined, 10)).toEqual([]);
    }
  });
});

describe('[S41] uploads that nobody goes on with', () => {
  const options = { enabled: true, age: 7 * DAY_MS, interval: DAY_MS, dryRun: false };

  test('go after their age, with their bytes; younger ones stay', async () => {
    const house = await createHouse();
    const old = await house.begin();
    await house.ask('PATCH', old, blob.bytes);
    const empty = await house.begin();
    await house.clock.advance(5 * DAY_MS);
    const young = await house.begin();
    await house.ask('PATCH', young, blob.bytes);
    await house.clock.advance(2 * DAY_MS);
    const dry = await purgeOnce({ ...house, report: (event) => void house.events.push(event) }, { ...options, dryRun: true });
    expect(dry).toEqual({ uploads: 2, bytes: 1000 });
    expect((await house.ask('GET', old)).status).toBe(204);
    expect(await purgeOnce({ ...house, report: () => undefined }, options)).toEqual({ uploads: 2, bytes: 1000 });
    for (const gone of [old, empty]) expect(await house.refusal('GET', gone)).toBe('404 BLOB_UPLOAD_UNKNOWN');
    expect(await house.blobs.parts()).toHaveLength(1);
    expect((await house.ask('PUT', `${young}?digest=${blob.digest}`)).status).toBe(201);
  });

  test('are looked for at intervals, as the configuration of the moment says', async () => {
    const house = await createHouse();
    const at = await house.begin();
    let now = { ...options, enabled: false };
    const purging = purgeUploads({ ...house, report: (event) => void house.events.push(event) }, () => now);
    purging.start();
    await house.clock.advance(8 * DAY_MS);
    expect((await house.ask('GET', at)).status).toBe(204);
    now = options;
    await house.clock.advance(DAY_MS);
    expect(await house.refusal('GET', at)).toBe('404 BLOB_UPLOAD_UNKNOWN');
    expect(house.events).toEqual([{ kind: 'uploads-purged', uploads: 1, bytes: 0, dryRun: false }]);
    purging.stop();
    expect(house.clock.pending()).toBe(0);
  });

  test('keep their bytes until then, though fills are swept sooner', async () => {
    const house = await createHouse();
    const at = await house.begin();
    await house.ask('PATCH', at, blob.bytes);
    await house.clock.advance(3 * DAY_MS);
    const listed = await house.records.uploads(undefined, 10);
    const running = async () => listed.map(({ record }) => record?.part);
    expect(await sweepOnce({ clock: house.clock, blobs: house.blobs, running })).toBe(0);
    expect((await house.ask('PUT', `${at}?digest=${blob.digest}`)).status).toBe(201);
  });
});

describe('changes are told', () => {
  test('once they stand, in their order, and a push whose change cannot be queued fails', async () => {
    const house = await createHouse();
    await house.ask('POST', `${APP}/blobs/uploads/?digest=${blob.digest}`, blob.bytes);
    await house.ask('POST', `/v2/team/other/blobs/uploads/?mount=${blob.digest}&from=team/app`);
    await house.ask('DELETE', `${APP}/blobs/${blob.digest}`);
    expect(
      house.changes.map(({ action, kind, holder, fromRepository, size }) => ({ action, kind, holder, fromRepository, size })),
    ).toEqual([
      { action: 'push', kind: 'blob', holder: HOLDER, fromRepository: undefined, size: 1000 },
      { action: 'mount', kind: 'blob', holder: 'local/team/other', fromRepository: 'team/app', size: 1000 },
      { action: 'delete', kind: 'blob', holder: HOLDER, fromRepository: undefined, size: 1000 },
    ]);
    const deaf = await createHouse({
      notify: () => Promise.reject(Object.assign(new Error('down'), { name: 'MetadataUnavailable' })),
    });
    const path = `${APP}/blobs/uploads/?digest=${blob.digest}`;
    expect(await deaf.refusal('POST', path, blob.bytes)).toBe('503 UNAVAILABLE');
  });
});

test('a blob that is a pushed manifest too stays one, and is renewed: who pushed it relies on it', async () => {
  const { top, layers, config } = buildImage();
  const house = await createHouse();
  for (const one of [config, ...layers]) await house.ask('POST', `${APP}/blobs/uploads/?digest=${one.digest}`, one.bytes);
  await house.ask('PUT', `${APP}/manifests/1`, top.bytes, { contentType: top.mediaType });
  const before = await house.records.link(HOLDER, top.digest);
  await house.clock.advance(7_200_000);
  await house.ask('POST', `${APP}/blobs/uploads/?digest=${top.digest}`, top.bytes);
  expect(await house.records.link(HOLDER, top.digest)).toEqual({ ...before, at: house.clock.now() });
});
