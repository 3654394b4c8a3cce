import { createHash, createSign } from 'node:crypto';
import { own, readJsonObject } from '../../oci/json.ts';
import { CredentialsUnavailable } from '../credentials.ts';
import { askForJson, formRequest, lifetimeMs, wantText, type EndpointDeps } from './endpoint.ts';
import type { FileText } from './file-text.ts';
import type { Grant, Source } from './kept.ts';
import { parseUrl } from '../../oci/url.ts';

export interface GcpOptions {
  /** A service account's key, JSON; without it the metadata server is asked, as which the machine or the pod runs. */
  readonly key?: FileText;
}

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const METADATA = '/computeMetadata/v1/instance/service-accounts/default/token';

/** An access token of Google's, which Artifact Registry and gcr.io take as the password of `oauth2accesstoken`. */
export function gcpSource({ key }: GcpOptions, deps: EndpointDeps): Source {
  return {
    inputs: async () =>
      key === undefined
        ? ''
        : createHash('sha256')
            .update(await key())
            .digest('hex'),
    get: async (signal) => (key === undefined ? await fromMetadata(deps, signal) : await fromKey(await key(), deps, signal)),
  };
}

/** Google, "Get an access token from the metadata server": the header proves that no redirect of a stranger's led there. */
async function fromMetadata(deps: EndpointDeps, signal: AbortSignal): Promise<Grant> {
  // Google's own libraries find it elsewhere by the same variable.
  const host = deps.env['GCE_METADATA_HOST'] ?? 'metadata.google.internal';
  const url = new URL(METADATA, `http://${host}`);
  const headers = { 'metadata-flavor': 'Google' };
  const answer = await askForJson({ method: 'GET', url, headers, near: true }, deps, signal);
  // What it has left: the server gives out one token until shortly before its end.
  return grantOf(wantText(answer, 'access_token', host), lifetimeMs(answer, 60));
}

/** RFC 7523: a signed assertion for a token. */
async function fromKey(text: string, deps: EndpointDeps, signal: AbortSignal): Promise<Grant> {
  const key = serviceAccountOf(text);
  if (typeof key === 'string') throw new CredentialsUnavailable(key, { refused: true });
  const form = {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: assertion(key, deps.clock.now()),
  };
  const answer = await askForJson(formRequest(key.tokenUri, form), deps, signal);
  return grantOf(wantText(answer, 'access_token', key.tokenUri.host), lifetimeMs(answer, 3600));
}

function grantOf(token: string, lifetime: number): Grant {
  return { credentials: { kind: 'password', username: 'oauth2accesstoken', password: token }, lifetimeMs: lifetime };
}

interface ServiceAccount {
  readonly email: string;
  readonly privateKey: string;
  readonly keyId: string | undefined;
  readonly tokenUri: URL;
}

/** A string is what is wrong with it. */
export function serviceAccountOf(text: string): ServiceAccount | string {
  const parsed = readJsonObject(Buffer.from(text));
  if (parsed.kind === 'fault') return 'the key file of the service account is not JSON';
  const textAt = (key: string): string | undefined => {
    const value = own(parsed.value, key);
    return typeof value === 'string' ? value : undefined;
  };
  const [email, privateKey] = [textAt('client_email'), textAt('private_key')];
  const uri = textAt('token_uri') ?? 'https://oauth2.googleapis.com/token';
  if (textAt('type') !== 'service_account' || email === undefined || privateKey === undefined || !/^https?:/.test(uri))
    return 'the key file holds no service account (type, client_email, private_key)';
  const tokenUri = parseUrl(uri);
  if (tokenUri === undefined) return 'the key file holds no address of tokens (token_uri)';
  return { email, privateKey, keyId: textAt('private_key_id'), tokenUri };
}

function assertion({ email, privateKey, keyId, tokenUri }: ServiceAccount, nowMs: number): string {
  const issued = Math.floor(nowMs / 1000);
  const head = { alg: 'RS256', typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) };
  const claims = { iss: email, scope: SCOPE, aud: tokenUri.href, iat: issued, exp: issued + 3600 };
  const signed = [head, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  try {
    return `${signed}.${createSign('RSA-SHA256').update(signed).sign(privateKey, 'base64url')}`;
  } catch {
    // OpenSSL's own words may quote the key.
    throw new CredentialsUnavailable('the key of the service account cannot sign', { refused: true });
  }
}
