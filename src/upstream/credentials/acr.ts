import { createHash } from 'node:crypto';
import { CredentialsUnavailable } from '../credentials.ts';
import { askForJson, formRequest, wantText, type EndpointDeps } from './endpoint.ts';
import type { FileText } from './file-text.ts';
import type { Source } from './kept.ts';
import type { SecretText } from './written.ts';
import { parseUrl } from '../../oci/url.ts';

/** As whom we sign in to Microsoft Entra ID, which knows Azure's registries. */
export type AzureIdentity =
  | { readonly kind: 'principal'; readonly tenant: string; readonly client: string; readonly secret: SecretText }
  /** Workload identity: a token that Kubernetes projects into a file. */
  | { readonly kind: 'workload'; readonly tenant: string; readonly client: string; readonly token: FileText }
  /** The machine's own, or the one of several that `client` names. */
  | { readonly kind: 'managed'; readonly client: string | undefined };

export interface AcrOptions {
  readonly identity: AzureIdentity;
  /** Where sign-ins go: `https://login.microsoftonline.com`. */
  readonly authority: URL;
  /** The registry's own address. */
  readonly registry: URL;
}

/** What the exchange's refresh token belongs to (ACR, "Authentication overview"). */
const USERNAME = '00000000-0000-0000-0000-000000000000';
const RESOURCE = 'https://containerregistry.azure.net';
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** A refresh token lives three hours. */
const LIFETIME_MS = 3 * 3600_000;

/** A token of Entra ID, exchanged at the registry for a refresh token, which the registry's token endpoint takes. */
export function acrSource(options: AcrOptions, deps: EndpointDeps): Source {
  const { identity, registry } = options;
  return {
    async inputs() {
      if (identity.kind === 'managed') return '';
      const secret = await (identity.kind === 'principal' ? identity.secret() : identity.token());
      return createHash('sha256').update(secret).digest('hex');
    },
    async get(signal) {
      const entra = await entraToken(options, deps, signal);
      const form = { grant_type: 'access_token', service: registry.host, access_token: entra };
      const answer = await askForJson(formRequest(new URL('/oauth2/exchange', registry), form), deps, signal);
      const token = wantText(answer, 'refresh_token', registry.host);
      return { credentials: { kind: 'identity', username: USERNAME, token }, lifetimeMs: LIFETIME_MS };
    },
  };
}

async function entraToken({ identity, authority }: AcrOptions, deps: EndpointDeps, signal: AbortSignal): Promise<string> {
  if (identity.kind === 'managed') return await managedToken(identity.client, deps, signal);
  const proof =
    identity.kind === 'principal'
      ? { client_secret: await identity.secret() }
      : { client_assertion_type: ASSERTION, client_assertion: (await identity.token()).trim() };
  const form = { grant_type: 'client_credentials', client_id: identity.client, scope: `${RESOURCE}/.default`, ...proof };
  const url = new URL(`/${encodeURIComponent(identity.tenant)}/oauth2/v2.0/token`, authority);
  return wantText(await askForJson(formRequest(url, form), deps, signal), 'access_token', authority.host);
}

/** Azure, "Get a token using HTTP": the instance metadata service of the machine. */
async function managedToken(client: string | undefined, deps: EndpointDeps, signal: AbortSignal): Promise<string> {
  // Azure's own libraries find it elsewhere by the same variable.
  const base = deps.env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] ?? 'http://169.254.169.254';
  const url = parseUrl(`${base.replace(/\/+$/, '')}/metadata/identity/oauth2/token?api-version=2018-02-01`);
  if (url === undefined) throw new CredentialsUnavailable('AZURE_POD_IDENTITY_AUTHORITY_HOST is no address');
  url.searchParams.set('resource', RESOURCE);
  if (client !== undefined) url.searchParams.set('client_id', client);
  const answer = await askForJson({ method: 'GET', url, headers: { metadata: 'true' }, near: true }, deps, signal);
  return wantText(answer, 'access_token', url.host);
}
