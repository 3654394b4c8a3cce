import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildImage, type ManifestBlob } from './images.ts';

/** Who is counted: an account by its name, or whoever comes without one. */
export const ADDRESS = '192.0.2.7';

export interface HubOptions {
  /** Pulls that are left, of a limit of 100 or more. */
  readonly accounts: Readonly<Record<string, number>>;
  /** Of the address; default 100. */
  readonly anonymous?: number;
  /** Seconds; default 3600. `null`: a 429 says nothing of it. */
  readonly retryAfter?: number | null;
  /** HEAD is refused too where nothing is left. */
  readonly refusesHead?: boolean;
}

/**
 * A registry over real sockets that counts as Docker Hub does: GET of a manifest is a pull, of the account whose token came
 * with it, else of the address; HEAD is free, and answered even when nothing is left; then 429.
 */
export interface ScriptedHub {
  readonly url: string;
  /** By whom it was pulled, and how often. */
  pulls(who: string): number;
  /** How often somebody was told 429. */
  refusals(): number;
  /** `GET manifests/…` and the like, whoever asked. */
  hits(method: 'GET' | 'HEAD'): number;
  left(who: string): number;
  /** Somebody else behind the account, or the address, pulls. */
  others(who: string, pulls: number): void;
  reset(who: string, left: number): void;
  /** What a tag points to: each to an image of its own. */
  manifest(tag: string): ManifestBlob;
  close(): Promise<void>;
}

const PASSWORD = 'correct horse';

/** The password of all accounts. */
export function hubAccount(url: string, username: string): Readonly<Record<string, unknown>> {
  return { url, username, password: PASSWORD };
}

export async function createScriptedHub(options: HubOptions): Promise<ScriptedHub> {
  const left = new Map(Object.entries({ ...options.accounts, [ADDRESS]: options.anonymous ?? 100 }));
  const pulls = new Map<string, number>();
  const manifests = new Map<string, ManifestBlob>();
  const lines: string[] = [];
  let refusals = 0;
  const manifest = (tag: string): ManifestBlob => {
    const found = manifests.get(tag) ?? buildImage({ label: tag, layers: [10] }).top;
    manifests.set(tag, found);
    return found;
  };

  function token(request: IncomingMessage, response: ServerResponse): void {
    const [name = '', password] = basicOf(request.headers.authorization);
    const known = name !== '' && password === PASSWORD && left.has(name);
    if (request.headers.authorization !== undefined && !known) return send(response, 401, {}, '{}');
    send(response, 200, {}, JSON.stringify({ token: `token-of-${known ? name : ADDRESS}`, expires_in: 300 }));
  }

  function answerManifest(request: IncomingMessage, response: ServerResponse, reference: string): void {
    const who = whoOf(request, response);
    const remaining = left.get(who ?? '');
    if (who === undefined || remaining === undefined) return;
    lines.push(request.method ?? '');
    const isPull = request.method === 'GET';
    const said = (rest: number): Record<string, string> => ({
      'ratelimit-limit': '100;w=21600',
      'ratelimit-remaining': `${rest};w=21600`,
      'docker-ratelimit-source': `source-of-${who}`,
    });
    if ((isPull || options.refusesHead === true) && remaining === 0) {
      refusals++;
      const after = options.retryAfter === null ? {} : { 'retry-after': String(options.retryAfter ?? 3600) };
      return send(response, 429, { ...said(0), ...after }, JSON.stringify({ errors: [{ code: 'TOOMANYREQUESTS' }] }));
    }
    const found = [...manifests.values()].find(({ digest }) => digest === reference) ?? manifest(reference);
    if (isPull) {
      left.set(who, remaining - 1);
      pulls.set(who, (pulls.get(who) ?? 0) + 1);
    }
    const headers = { ...said(left.get(who)!), 'content-type': found.mediaType, 'docker-content-digest': found.digest };
    send(response, 200, headers, found.bytes);
  }

  /** `undefined`: nobody yet, and told so. */
  function whoOf(request: IncomingMessage, response: ServerResponse): string | undefined {
    const who = /^Bearer token-of-(.+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (who !== undefined && left.has(who)) return who;
    const challenge = `Bearer realm="http://${request.headers.host}/token",service="hub",scope="repository:library/app:pull"`;
    send(response, 401, { 'www-authenticate': challenge }, '{}');
    return undefined;
  }

  function answerTags(request: IncomingMessage, response: ServerResponse): void {
    if (whoOf(request, response) === undefined) return;
    send(response, 200, {}, JSON.stringify({ name: 'library/app', tags: [...manifests.keys()] }));
  }

  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0]!;
    const reference = /^\/v2\/library\/app\/manifests\/([^/]+)$/.exec(path)?.[1];
    if (path === '/token') token(request, response);
    else if (path === '/v2/library/app/tags/list') answerTags(request, response);
    else if (reference !== undefined) answerManifest(request, response, reference);
    else send(response, 404, {}, JSON.stringify({ errors: [{ code: 'NAME_UNKNOWN' }] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pulls: (who) => pulls.get(who) ?? 0,
    refusals: () => refusals,
    hits: (method) => lines.filter((line) => line === method).length,
    left: (who) => left.get(who) ?? 0,
    others: (who, count) => void left.set(who, Math.max(0, (left.get(who) ?? 0) - count)),
    reset: (who, now) => void left.set(who, now),
    manifest,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function basicOf(authorization: string | undefined): string[] {
  const encoded = /^Basic (.+)$/.exec(authorization ?? '')?.[1];
  return encoded === undefined ? [] : Buffer.from(encoded, 'base64').toString().split(':');
}

/** A turn of the loop later, so that answers overtake each other. */
function send(response: ServerResponse, status: number, headers: Record<string, string>, body: string | Buffer): void {
  setImmediate(() => {
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers });
    response.end(response.req.method === 'HEAD' ? undefined : body);
  });
}
