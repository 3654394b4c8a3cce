import { own, readJsonObject, type JsonObject } from '../../oci/json.ts';
import type { Clock } from '../../system/clock.ts';
import { readWhole } from '../answer.ts';
import { bodyLimits } from '../body.ts';
import { CredentialsUnavailable } from '../credentials.ts';
import { createGuard } from '../guard.ts';
import { proxyFor, type ProxyEnvironment } from '../proxy.ts';
import { createResolve } from '../resolve.ts';
import { createTransport, type Transport, type TransportRequest, type TransportResponse } from '../transport.ts';

export interface EndpointDeps {
  readonly clock: Clock;
  readonly env: ProxyEnvironment;
}

/** One question to somebody who gives out credentials. */
export interface EndpointRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** True for what is on this machine or network: no proxy leads there. */
  readonly near?: boolean;
}

export interface EndpointAnswer {
  readonly status: number;
  readonly header: TransportResponse['header'];
  readonly body: Uint8Array;
}

const BODY_BYTES_MAX = 256 * 1024;

/** Asks over connections of its own, which end with the answer: there is one such question in hours. */
export async function askEndpoint(
  request: EndpointRequest,
  { clock, env }: EndpointDeps,
  signal: AbortSignal,
): Promise<EndpointAnswer> {
  const transport = openTransport(request, clock, env);
  const { method, url, headers = {}, body } = request;
  const sent: TransportRequest = { what: 'token', method, url, headers, ...(body === undefined ? {} : { body }) };
  try {
    const response = await transport.send(sent, signal);
    const bytes = await readWhole(response.body, BODY_BYTES_MAX);
    if (bytes === undefined) throw new CredentialsUnavailable(`${url.host} said too much`);
    return { status: response.status, header: response.header, body: bytes };
  } catch (error) {
    if (error instanceof CredentialsUnavailable) throw error;
    if (signal.aborted) throw new CredentialsUnavailable(`${url.host} did not answer in time`);
    throw new CredentialsUnavailable(`${url.host} cannot be asked (${codeOf(error)})`);
  } finally {
    transport.close().catch(() => undefined); // The answer has told how it went.
  }
}

/** The JSON of a 200. Rejects otherwise: `refused` where the endpoint understood and said no. */
export async function askForJson(request: EndpointRequest, deps: EndpointDeps, signal: AbortSignal): Promise<JsonObject> {
  const { status, body } = await askEndpoint(request, deps, signal);
  const parsed = readJsonObject(body);
  const value = parsed.kind === 'object' ? parsed.value : {};
  if (status === 200) return value;
  const refused = status === 400 || status === 401 || status === 403;
  throw new CredentialsUnavailable(`${request.url.host} answered ${status}${reasonOf(value)}`, { refused });
}

export function formRequest(url: URL, form: Readonly<Record<string, string>>): EndpointRequest {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
  return { method: 'POST', url, headers, body: new URLSearchParams(form).toString() };
}

/** A text of an answer; rejects without it. `host` is whose answer it is. */
export function wantText(answer: JsonObject, key: string, host: string): string {
  const value = own(answer, key);
  if (typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)) return value;
  throw new CredentialsUnavailable(`${host} sent no ${key}`);
}

/** `expires_in` (RFC 6749 5.1), a number that Azure's metadata writes as a text. */
export function lifetimeMs(answer: JsonObject, byDefaultSeconds: number): number {
  const seconds = Number(own(answer, 'expires_in') ?? byDefaultSeconds);
  return (Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 24 * 3600) : byDefaultSeconds) * 1000;
}

function openTransport({ near = false }: EndpointRequest, clock: Clock, env: ProxyEnvironment): Transport {
  return createTransport({
    clock,
    // These addresses are the configuration's own, or a platform's; a metadata server is at a link-local one.
    guard: createGuard({ trusts: () => true, allow: [], resolve: createResolve(clock, undefined) }),
    connectMs: 3000,
    headersMs: 10_000,
    body: bodyLimits(5000),
    tls: {},
    ownHost: '',
    proxyFor: (target) => proxyFor(near ? 'none' : 'environment', env, target),
  });
}

/** RFC 6749 5.2: a word. The description beside it is whatever the endpoint likes. */
function reasonOf(answer: JsonObject): string {
  const error = own(answer, 'error');
  return typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? ` (${error})` : '';
}

function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'unknown';
}
