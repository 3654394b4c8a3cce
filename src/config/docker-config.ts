import { Secret } from './secret.ts';

/** What a docker `config.json` says of one registry: an account, or the helper that knows it. */
export type DockerAccount =
  | { readonly kind: 'password'; readonly username: string; readonly password: Secret }
  | { readonly kind: 'identity'; readonly username: string; readonly token: Secret }
  | { readonly kind: 'bearer'; readonly token: Secret }
  /** `docker-credential-HELPER`, asked for `server`. */
  | { readonly kind: 'helper'; readonly helper: string; readonly server: string };

const BROKEN = 'expected the JSON of a docker config.json';

/**
 * The account for a registry, or a part of one, in the text of a docker `config.json`: the longest entry that fits, among
 * those of one length its helper before its account; where there is none, whoever keeps all the others (`credsStore`). A
 * string is what is wrong with it, said without its contents.
 */
export function accountOf(text: string, prefix: string): DockerAccount | string {
  const config = configOf(text);
  if (config === undefined) return BROKEN;
  for (const name of candidates(prefix)) {
    const helper = config.credHelpers.get(name);
    if (helper !== undefined) return helperOf(helper, isHub(prefix) ? HUB : name);
    const entry = spellings(name)
      .map((spelling) => config.auths.get(spelling))
      .find((found) => found !== undefined && !isEmpty(found));
    if (entry !== undefined) return decode(entry);
  }
  if (config.credsStore !== undefined) return helperOf(config.credsStore, serverOf(prefix.split('/')[0] ?? ''));
  return `expected an entry for ${prefix} under its "auths" or "credHelpers", or a "credsStore"`;
}

/** What docker and its helpers call a registry: docker.io by the address of its first API. */
export function serverOf(name: string): string {
  return isHub(name) ? HUB : name;
}

function isHub(name: string): boolean {
  return name.split('/')[0] === 'docker.io';
}

const HUB = 'https://index.docker.io/v1/';

interface DockerConfig {
  readonly auths: ReadonlyMap<string, unknown>;
  readonly credHelpers: ReadonlyMap<string, unknown>;
  readonly credsStore: unknown;
}

function configOf(text: string): DockerConfig | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (!isRecord(parsed)) return undefined;
    const { auths = {}, credHelpers = {}, credsStore } = parsed;
    if (!isRecord(auths) || !isRecord(credHelpers)) return undefined;
    const store = credsStore === '' ? undefined : credsStore;
    return { auths: new Map(Object.entries(auths)), credHelpers: new Map(Object.entries(credHelpers)), credsStore: store };
  } catch {
    // The parser's own message quotes the text, which holds passwords.
    return undefined;
  }
}

/** `ghcr.io/acme/team` may be signed in to as that, as `ghcr.io/acme`, or as `ghcr.io`. */
function candidates(prefix: string): string[] {
  const segments = prefix.split('/');
  const names = segments.map((_, index) => segments.slice(0, segments.length - index).join('/'));
  return isHub(prefix) ? [...names.slice(0, -1), HUB, 'index.docker.io', 'docker.io', 'registry-1.docker.io'] : names;
}

function spellings(name: string): string[] {
  return [name, `https://${name}`, `https://${name}/`, `https://${name}/v1/`, `https://${name}/v2/`];
}

/** What docker leaves behind where a helper keeps the account. */
function isEmpty(entry: unknown): boolean {
  return (
    isRecord(entry) && ['auth', 'username', 'password', 'identitytoken', 'registrytoken'].every((key) => !textOf(entry[key]))
  );
}

function helperOf(helper: unknown, server: string): DockerAccount | string {
  if (typeof helper !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(helper))
    return 'expected names of docker-credential-NAME programs under its "credHelpers" and "credsStore"';
  return { kind: 'helper', helper, server };
}

/** `auth` is base64 of `user:password`; old files write them apart, and tokens go before both. */
function decode(entry: unknown): DockerAccount | string {
  if (!isRecord(entry)) return BROKEN;
  const pair = Buffer.from(textOf(entry['auth']) ?? '', 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  const username = colon > 0 ? pair.slice(0, colon) : textOf(entry['username']);
  const password = colon > 0 ? pair.slice(colon + 1) : textOf(entry['password']);
  const [identity, bearer] = [textOf(entry['identitytoken']), textOf(entry['registrytoken'])];
  if (identity !== undefined) return { kind: 'identity', username: username ?? '<token>', token: new Secret(identity) };
  if (bearer !== undefined) return { kind: 'bearer', token: new Secret(bearer) };
  if (username === undefined || password === undefined || password === '') return 'holds no username and password for it';
  return { kind: 'password', username, password: new Secret(password) };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
