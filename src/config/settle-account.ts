import { serviceAccountFault } from './key-file.ts';
import type { Account, SecretText } from './config.ts';
import { accountOf } from './docker-config.ts';
import type { WrittenAccount } from './schema/account.ts';
import type { Secret } from './secret.ts';
import type { Settling } from './settling.ts';
import type { Path } from './tree-path.ts';

const KINDS = ['password', 'token', 'identitytoken', 'config', 'helper', 'ecr', 'gcp', 'acr'] as const;
type Kind = (typeof KINDS)[number];

/**
 * How to sign in, from the keys at `path`; `undefined` where none says how. `name` is what it is for, `docker.io` or
 * `ghcr.io/acme`. Files are read once to see that they are there, and again by whoever signs in.
 */
export async function settleAccount(
  written: WrittenAccount,
  name: string,
  path: Path,
  work: Settling,
): Promise<Account | undefined> {
  const kinds = KINDS.filter((kind) => isWritten(written, kind));
  const [kind, another] = kinds;
  if (another !== undefined)
    return work.fault([...path, keyOf(written, another)], `expected either ${kind} or ${another}, not both`);
  if (written.username !== undefined && kind !== 'password' && kind !== 'identitytoken')
    return work.fault([...path, 'username'], 'expected a password or passwordfile beside it');
  return kind === undefined ? undefined : await SETTLERS[kind](written, name, path, work);
}

function isWritten(written: WrittenAccount, kind: Kind): boolean {
  return written[kind] !== undefined || (isSecretKind(kind) && written[`${kind}file`] !== undefined);
}

type SecretKind = 'password' | 'token' | 'identitytoken';

function isSecretKind(kind: Kind): kind is SecretKind {
  return kind === 'password' || kind === 'token' || kind === 'identitytoken';
}

function keyOf(written: WrittenAccount, kind: Kind): string {
  return isSecretKind(kind) && written[kind] === undefined ? `${kind}file` : kind;
}

type Settler = (written: WrittenAccount, name: string, path: Path, work: Settling) => Promise<Account | undefined>;

const SETTLERS: Readonly<Record<Kind, Settler>> = {
  async password({ username, password, passwordfile }, _name, path, work) {
    const secret = await secretText(password, passwordfile, path, 'password', work);
    if (username === undefined) return work.fault(path, 'expected a username beside the password');
    return secret && { kind: 'password', username, password: secret };
  },
  async token({ token, tokenfile }, _name, path, work) {
    const secret = await secretText(token, tokenfile, path, 'token', work);
    return secret && { kind: 'bearer', token: secret };
  },
  async identitytoken({ username = '<token>', identitytoken, identitytokenfile }, _name, path, work) {
    const secret = await secretText(identitytoken, identitytokenfile, path, 'identitytoken', work);
    return secret && { kind: 'identity', username, token: secret };
  },
  async config({ config = '' }, name, path, work) {
    const text = await work.readAgain(config, [...path, 'config']);
    if (text === undefined) return undefined;
    const found = accountOf(text, name);
    if (typeof found === 'string') return work.fault([...path, 'config'], found);
    return { kind: 'docker', file: work.absolute(config), name };
  },
  async helper({ helper = '' }, name) {
    return { kind: 'helper', helper, name };
  },
  async ecr({ ecr = {} }, name, path, work) {
    const region = ecr.region ?? regionOf(name);
    if (region !== undefined) return { kind: 'ecr', region, endpoint: ecr.endpoint };
    return work.fault([...path, 'ecr'], 'expected a region in it: the host is not ACCOUNT.dkr.ecr.REGION.amazonaws.com');
  },
  async gcp({ gcp = {} }, _name, path, work) {
    if (gcp.keyfile === undefined) return { kind: 'gcp', keyfile: undefined };
    const text = await work.readAgain(gcp.keyfile, [...path, 'gcp', 'keyfile']);
    const fault = text === undefined ? undefined : serviceAccountFault(text);
    if (fault !== undefined) return work.fault([...path, 'gcp', 'keyfile'], fault);
    return text === undefined ? undefined : { kind: 'gcp', keyfile: work.absolute(gcp.keyfile) };
  },
  async acr({ acr = {} }, _name, path, work) {
    const { tenant, clientid, clientsecret, clientsecretfile, tokenfile, authority } = acr;
    const at = [...path, 'acr'];
    const byFile = tokenfile === undefined ? undefined : await work.readAgain(tokenfile, [...at, 'tokenfile']);
    if (tokenfile !== undefined && byFile === undefined) return undefined;
    const common = { kind: 'acr' as const, tenant, clientid, authority };
    if (clientsecret === undefined && clientsecretfile === undefined) {
      return { ...common, secret: undefined, tokenfile: tokenfile && work.absolute(tokenfile) };
    }
    if (tokenfile !== undefined) return work.fault([...at, 'tokenfile'], 'expected either tokenfile or clientsecret, not both');
    if (tenant === undefined || clientid === undefined)
      return work.fault(at, 'expected tenant and clientid beside the clientsecret');
    const secret = await secretText(clientsecret, clientsecretfile, at, 'clientsecret', work);
    return secret && { ...common, secret, tokenfile: undefined };
  },
};

async function secretText(
  written: Secret | undefined,
  file: string | undefined,
  path: Path,
  key: string,
  work: Settling,
): Promise<SecretText | undefined> {
  const secret = await work.secret(written, file, path, key);
  if (secret === undefined || file === undefined) return secret;
  work.readsAgain(file);
  return { file: work.absolute(file) };
}

/** `111122223333.dkr.ecr.eu-west-1.amazonaws.com`, with FIPS, dual stack and China's. */
function regionOf(name: string): string | undefined {
  const host = name.split('/')[0] ?? '';
  return /^\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z]{2}[a-z0-9-]{3,28}\d)\.(?:amazonaws\.com(?:\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn)$/.exec(
    host,
  )?.[1];
}
