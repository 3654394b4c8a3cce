import { describe, expect, test } from 'vitest';

import type { Program, ProgramResult, RunProgram } from '../../../src/system/run-program.ts';
import { dockerConfigCredentials } from '../../../src/upstream/credentials/docker-config.ts';
import { helperSource } from '../../../src/upstream/credentials/docker-credential.ts';
import { never } from './servers.ts';

const ended = (code: number, output: string): ProgramResult => ({ kind: 'ended', code, output: Buffer.from(output) });
const says = (value: unknown): ProgramResult => ended(0, JSON.stringify(value));

function sourceOf(result: ProgramResult | Error, options = { helper: 'x', server: 'h.test' }) {
  const ran: Program[] = [];
  const run: RunProgram = async (program) => {
    ran.push(program);
    if (result instanceof Error) throw result;
    return result;
  };
  return { ran, source: helperSource(options, run) };
}

describe('docker-credential-NAME get', () => {
  test('is asked for the server on its input, and yields an account', async () => {
    const { ran, source } = sourceOf(says({ ServerURL: 'h.test', Username: 'ann', Secret: 's3cret' }));
    expect((await source.get(never)).credentials).toEqual({ kind: 'password', username: 'ann', password: 's3cret' });
    expect(ran).toMatchObject([{ name: 'docker-credential-x', args: ['get'], input: 'h.test' }]);
  });

  test('yields an identity token under the name <token>', async () => {
    const { source } = sourceOf(says({ Username: '<token>', Secret: 's3cret' }));
    expect((await source.get(never)).credentials).toEqual({ kind: 'identity', username: '<token>', token: 's3cret' });
  });

  test.each([
    [ended(1, 'credentials not found in native keychain\n'), 'has none for h.test', true],
    [ended(1, 'error s3cret'), 'failed with exit code 1', false],
    [ended(-1, ''), 'failed with exit code -1', false],
    [ended(0, 's3cret'), 'wrote something else than credentials', false],
    [says({ Username: 'ann' }), 'wrote something else than credentials', false],
    [says({ Username: 'ann', Secret: '' }), 'wrote something else than credentials', false],
    [says({ Username: 1, Secret: 's3cret' }), 'wrote something else than credentials', false],
    [says(['s3cret']), 'wrote something else than credentials', false],
    [{ kind: 'too much output' } as const, 'wrote too much', false],
    [Object.assign(new Error('spawn s3cret'), { code: 'ENOENT' }), 'cannot be run (ENOENT)', false],
  ])('%j', async (result, why, refused) => {
    const thrown: unknown = await sourceOf(result)
      .source.get(never)
      .catch((error: unknown) => error);
    expect(thrown).toMatchObject({
      name: 'CredentialsUnavailable',
      message: `the credential helper docker-credential-x ${why}`,
      refused,
    });
    expect(String(thrown)).not.toContain('s3cret');
  });

  test.each(['', '../evil', 'a/b', 'a b', '-x', '.x', 'x;y', 'x'.repeat(65)])('%j is run by nobody', async (helper) => {
    const { ran, source } = sourceOf(says({}), { helper, server: 'h.test' });
    await expect(source.get(never)).rejects.toMatchObject({ refused: true });
    expect(ran).toEqual([]);
  });
});

test('a docker config.json that names another helper is followed, and its helper kept while it names the same', async () => {
  let text = 'a';
  const made: string[] = [];
  const provider = dockerConfigCredentials({
    text: async () => text,
    read: (now) =>
      now === 'bad'
        ? 'it is bad'
        : now === 'own'
          ? { kind: 'bearer', token: 't' }
          : { kind: 'helper', helper: now, server: 's' },
    helper: (helper) => {
      made.push(helper);
      return async () => ({ kind: 'bearer', token: helper });
    },
  });
  const get = async (): Promise<unknown> => await provider('r', () => false);
  expect([await get(), await get()]).toEqual([
    { kind: 'bearer', token: 'a' },
    { kind: 'bearer', token: 'a' },
  ]);
  text = 'b';
  expect(await get()).toEqual({ kind: 'bearer', token: 'b' });
  text = 'own';
  expect(await get()).toEqual({ kind: 'bearer', token: 't' });
  text = 'bad';
  await expect(get()).rejects.toMatchObject({ message: 'it is bad', refused: true });
  expect(made).toEqual(['a', 'b']);
});
