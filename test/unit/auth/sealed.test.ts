import { createSecretKey, randomBytes } from 'node:crypto';
import { CompactEncrypt } from 'jose';
import { expect, test } from 'vitest';
import { seal, unseal } from '../../../src/auth/sealed.ts';

const key = createSecretKey(randomBytes(32));
const credentials = { username: 'ann', password: 'pass:wört', registries: ['ghcr.io'] };

test('what was sealed is read by who holds the key, and by nobody else', async () => {
  const sealed = await seal(credentials, key);
  expect(await unseal(sealed, key)).toEqual(credentials);
  expect(await unseal(sealed, createSecretKey(randomBytes(32)))).toBeUndefined();
  expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('ann');
});

test('sealed twice it looks different', async () => {
  expect(await seal(credentials, key)).not.toBe(await seal(credentials, key));
});

test.each([undefined, 7, '', 'a.b.c.d.e', 'eyJhbGciOiJub25lIn0....'])('%j is nothing', async (sealed) => {
  expect(await unseal(sealed, key)).toBeUndefined();
});

test('each part that was changed is found out', async () => {
  const parts = (await seal(credentials, key)).split('.');
  for (const at of [0, 2, 3, 4]) {
    const changed = parts.map((part, index) => (index === at ? `${part.startsWith('A') ? 'B' : 'A'}${part.slice(1)}` : part));
    expect([at, await unseal(changed.join('.'), key)]).toEqual([at, undefined]);
  }
});

test('the key that signs is not the one that seals', async () => {
  const text = new TextEncoder().encode(JSON.stringify(credentials));
  const other = await new CompactEncrypt(text)
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(new Uint8Array(key.export()));
  expect(await unseal(other, key)).toBeUndefined();
});
