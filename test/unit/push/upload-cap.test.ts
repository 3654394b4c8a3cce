import { describe, expect, test } from 'vitest';
import { createHouse, type House, type HouseOptions } from './house.ts';

const BEGIN = '/v2/team/app/blobs/uploads/';
const ann = { by: 'user:ann' };
const tooMany = '429 TOOMANYREQUESTS';
const capped = (options: HouseOptions = {}): Promise<House> => createHouse({ uploadsMax: () => 2, ...options });
const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
const begin = async (house: House, headers: { readonly by: string } = ann): Promise<string> =>
  (await house.ask('POST', BEGIN, undefined, headers)).headers['location']!;

describe('[S41] [S54] uploads in progress', () => {
  test('are so many for each account; one that ends makes room for the next', async () => {
    const house = await capped();
    const [first] = [await begin(house), await begin(house)];
    expect(await house.refusal('POST', BEGIN, undefined, ann)).toBe(tooMany);
    await expect(house.ask('POST', BEGIN, undefined, ann)).rejects.toMatchObject({ headers: { 'retry-after': '5' } });
    await begin(house, { by: 'user:ben' });
    await house.ask('DELETE', first, undefined, ann);
    await begin(house);
    expect(await house.refusal('POST', BEGIN, undefined, ann)).toBe(tooMany);
  });

  test('that nobody in particular began go on from another address', async () => {
    const house = await createHouse();
    const at = await begin(house, { by: 'address:192.0.2.1' });
    for (const by of ['address:192.0.2.9', 'user:ann'])
      expect((await house.ask('PATCH', at, Buffer.from('abc'), { by })).status).toBe(202);
    expect((await house.ask('DELETE', at, undefined, { by: 'address:192.0.2.3' })).status).toBe(204);
  });

  test('keep their account while they are written, and go on beyond the limit', async () => {
    const house = await capped();
    const [first] = [await begin(house), await begin(house)];
    expect((await house.ask('PATCH', first, Buffer.from('abc'), ann)).status).toBe(202);
    expect(await house.refusal('POST', BEGIN, undefined, ann)).toBe(tooMany);
  });

  test('that come at the same moment do not overlook each other', async () => {
    const house = await capped();
    const begun = await Promise.allSettled(times(8, () => begin(house)));
    expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
  });

  test('are counted with those of other processes, and of before', async () => {
    const house = await capped();
    await begin(house);
    await begin(house);
    const { clock, disk, metadata } = house;
    const other = await capped({ clock, disk, metadata, process: 1 });
    expect(await other.refusal('POST', BEGIN, undefined, ann)).toBe(tooMany);
  });

  test('are as many as one likes without a limit', async () => {
    const house = await createHouse();
    await Promise.all(times(5, () => begin(house)));
  });
});
