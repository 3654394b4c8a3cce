import { expect, test } from 'vitest';
import { MANIFESTS_BYTES_MAX } from '../../../src/push/body-memory.ts';
import { MANIFEST_BYTES_MAX } from '../../../src/push/manifests.ts';
import { APP, createHouse, slowBody } from './house.ts';

const ITSELF = `${APP}/manifests/1`;
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 200; turn += 1) await Promise.resolve();
};

test('[promise 7] manifests that are sent at once hold so much memory and no more; the next is asked to come again', async () => {
  const house = await createHouse();
  const bytes = Buffer.alloc(MANIFEST_BYTES_MAX, ' ');
  const bodies = Array.from({ length: MANIFESTS_BYTES_MAX / MANIFEST_BYTES_MAX }, () => slowBody());
  const running = bodies.map((body) => house.refusal('PUT', ITSELF, body));
  for (const body of bodies) body.send(bytes);
  await turns();
  const refused = await house.ask('PUT', ITSELF, Buffer.from('{}')).catch((error: unknown) => error);
  expect(refused).toMatchObject({ status: 503, code: 'UNAVAILABLE', headers: { 'retry-after': '1' } });
  bodies[0]!.cut();
  expect(await running[0]).toBe('400 BLOB_UPLOAD_INVALID');
  // Now it is read, and found to be none.
  expect(await house.refusal('PUT', ITSELF, Buffer.from('{}'))).toBe('400 MANIFEST_INVALID');
  for (const body of bodies) body.end();
  expect(new Set(await Promise.all(running.slice(1)))).toEqual(new Set(['400 MANIFEST_INVALID']));
  // What was refused half-way has given back what it held.
  for (let round = 0; round < 40; round += 1) {
    const body = slowBody();
    const pushed = house.refusal('PUT', ITSELF, body);
    body.send(bytes);
    body.send(Buffer.from('x'));
    expect(await pushed).toBe('413 SIZE_INVALID');
  }
});
