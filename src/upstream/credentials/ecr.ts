import { Readable } from 'node:stream';
import type { ECRClientConfig } from '@aws-sdk/client-ecr';
import { CredentialsUnavailable } from '../credentials.ts';
import { askEndpoint, type EndpointDeps, type EndpointRequest } from './endpoint.ts';
import type { Grant, Source } from './kept.ts';

export interface EcrOptions {
  readonly region: string;
  /** Instead of AWS's own: a VPC endpoint, a compatible service. */
  readonly endpoint?: URL;
}

const LIFETIME_MS_MAX = 12 * 3600_000;

/**
 * ECR's GetAuthorizationToken: the password of `AWS` for twelve hours. The SDK looks for our own credentials where AWS puts
 * them (environment, web identity, pod identity, profile, instance metadata), and is loaded when it is first needed.
 */
export function ecrSource(options: EcrOptions, deps: EndpointDeps): Source {
  return {
    inputs: async () => '',
    async get(signal) {
      // The version that we hold to is made for this Node; that a later one will not be is said where versions are chosen.
      process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
      const { ECRClient, GetAuthorizationTokenCommand } = await import('@aws-sdk/client-ecr');
      const client = new ECRClient(clientConfig(options, deps));
      try {
        const answer = await client.send(new GetAuthorizationTokenCommand({}), { abortSignal: signal });
        return grantOf(answer.authorizationData?.[0], deps.clock.now());
      } catch (error) {
        throw error instanceof CredentialsUnavailable ? error : faultOf(error, signal);
      } finally {
        client.destroy();
      }
    },
  };
}

function clientConfig({ region, endpoint }: EcrOptions, deps: EndpointDeps): ECRClientConfig {
  return {
    region,
    maxAttempts: 2,
    requestHandler: handlerOf(deps),
    ...(endpoint === undefined ? {} : { endpoint: endpoint.href }),
  };
}

/** The part that we see of what the SDK sends (its HttpRequest). */
interface SdkRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** What the SDK sends goes our way: through the proxies of the environment, within our limits. */
function handlerOf(deps: EndpointDeps): NonNullable<ECRClientConfig['requestHandler']> {
  return {
    async handle(request: SdkRequest, { abortSignal }: { readonly abortSignal?: unknown } = {}) {
      const signal = abortSignal instanceof AbortSignal ? abortSignal : new AbortController().signal;
      const answer = await askEndpoint(toEndpoint(request), deps, signal);
      const told = TOLD.map((name) => [name, answer.header(name)] as const).filter(([, value]) => value !== undefined);
      const headers = Object.fromEntries(told) as Record<string, string>;
      return { response: { statusCode: answer.status, headers, body: Readable.from([Buffer.from(answer.body)]) } };
    },
  } as NonNullable<ECRClientConfig['requestHandler']>;
}

function toEndpoint({ method, protocol, hostname, port, path, query, headers, body }: SdkRequest): EndpointRequest {
  const url = new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`);
  for (const [key, value] of Object.entries(query ?? {})) {
    for (const one of [value ?? ''].flat()) url.searchParams.append(key, one);
  }
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  // The connection writes these itself.
  const { 'content-length': _length, host: _host, ...own } = lower;
  // Not by Buffer, which takes the SDK's bytes for the text that they can also be, at which it warns.
  const text = typeof body === 'string' ? body : body instanceof Uint8Array ? new TextDecoder().decode(body) : undefined;
  return { method: method === 'GET' ? 'GET' : 'POST', url, headers: own, ...(text === undefined ? {} : { body: text }) };
}

/** What the SDK reads of an answer's head. */
const TOLD = ['content-type', 'date', 'x-amzn-requestid', 'x-amzn-errortype', 'x-amz-retry-after', 'retry-after'];

interface AuthorizationData {
  readonly authorizationToken?: string | undefined;
  readonly expiresAt?: Date | undefined;
}

function grantOf(data: AuthorizationData | undefined, nowMs: number): Grant {
  const pair = Buffer.from(data?.authorizationToken ?? '', 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  if (colon < 1) throw new CredentialsUnavailable('ECR sent no token');
  const left = (data?.expiresAt?.getTime() ?? nowMs + LIFETIME_MS_MAX) - nowMs;
  const lifetimeMs = left > 0 ? Math.min(left, LIFETIME_MS_MAX) : 60_000;
  return { credentials: { kind: 'password', username: pair.slice(0, colon), password: pair.slice(colon + 1) }, lifetimeMs };
}

/** By the SDK's name for it: its sentences quote keys and roles. */
function faultOf(error: unknown, signal: AbortSignal): CredentialsUnavailable {
  if (signal.aborted) return new CredentialsUnavailable('ECR did not answer in time');
  const { name, $metadata } = (error ?? {}) as { name?: unknown; $metadata?: { httpStatusCode?: unknown } };
  const status = Number($metadata?.httpStatusCode ?? 0);
  const word = typeof name === 'string' && /^[A-Za-z.]{1,60}$/.test(name) ? name : 'unknown';
  const refused = status >= 400 && status < 500 && status !== 429 && !/thrott|limit|timeout/i.test(word);
  return new CredentialsUnavailable(`ECR's GetAuthorizationToken failed (${word})`, { refused });
}
