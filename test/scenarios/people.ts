import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GetOptions } from '../fakes/http-client.ts';
import type { Stage } from './harness.ts';
import type { Running } from './running.ts';

/** Everybody's password, at the least cost that bcrypt has. */
export const PASSWORD = 'secret';
const HASH = '$2b$04$R1nTPSMtCGPGI3BwhuxKn.HVh1VRPlICJdAtmtkZUJwqIEZNILczO';

/** An htpasswd file of these users; yields its path. */
export async function writeUsers({ directory }: Pick<Stage, 'directory'>, ...users: string[]): Promise<string> {
  const path = join(directory, 'htpasswd');
  await writeFile(path, users.map((user) => `${user}:${HASH}\n`).join(''));
  return path;
}

export const basic = (user: string, password: string = PASSWORD): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** A client that sends this with every request. */
export function sending(
  server: Pick<Running, 'get' | 'head'>,
  authorization: string | undefined,
): Pick<Running, 'get' | 'head'> {
  const withIt = (options: GetOptions = {}): GetOptions =>
    authorization === undefined ? options : { ...options, headers: { ...options.headers, authorization } };
  return {
    get: (path, options) => server.get(path, withIt(options)),
    head: (path, options) => server.head(path, withIt(options)),
  };
}

/** A token of the server's own, for these scopes. */
export async function tokenFor(
  server: Pick<Running, 'get'>,
  authorization: string | undefined,
  ...scopes: string[]
): Promise<string> {
  const query = new URLSearchParams(scopes.map((scope): [string, string] => ['scope', scope]));
  const reply = await sending({ ...server, head: server.get }, authorization).get(`/token?${query.toString()}`);
  if (reply.status !== 200) throw new Error(`/token answered ${reply.status}: ${await reply.text()}`);
  return `Bearer ${(await reply.json<{ readonly token: string }>()).token}`;
}
