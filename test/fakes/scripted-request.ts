import type { IncomingHttpHeaders } from 'node:http';

export type RequestKind = 'manifest' | 'blob' | 'tags' | 'referrers' | 'ping' | 'token' | 'catalog' | 'file';

/** What a request asks for, read from its path alone. */
export interface Asked {
  readonly kind: RequestKind;
  readonly repository: string;
  /** Tag, digest, or empty. */
  readonly reference: string;
}

/** One request as it came, and what became of it. */
export interface RecordedRequest extends Asked {
  readonly method: string;
  /** Path and query, as sent. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** The body of a POST. */
  readonly body: string;
  /** As asked by `Range: bytes=…`; `to` exclusive. */
  readonly range: { readonly from: number; readonly to: number | undefined } | undefined;
  /** When it came, milliseconds of this process. */
  readonly at: number;
  /** Undefined until it is answered. */
  status: number | undefined;
  /** Bytes of the body handed to the socket. */
  sent: number;
}

export function readPath(path: string): Asked {
  if (path === '/v2/' || path === '/v2') return { kind: 'ping', repository: '', reference: '' };
  if (path === '/v2/_catalog') return { kind: 'catalog', repository: '', reference: '' };
  const tags = /^\/v2\/(.+)\/tags\/list$/.exec(path);
  if (tags !== null) return { kind: 'tags', repository: tags[1]!, reference: '' };
  const match = /^\/v2\/(.+)\/(manifest|blob|referrer)s\/([^/]+)$/.exec(path);
  if (match === null) return { kind: 'file', repository: '', reference: path };
  const kind = match[2] === 'referrer' ? 'referrers' : (match[2] as 'manifest' | 'blob');
  return { kind, repository: match[1]!, reference: decodeURIComponent(match[3]!) };
}

/** A single range, with or without an end; `undefined` for all else. */
export function readRange(header: string | undefined): { from: number; to: number | undefined } | undefined {
  const match = /^bytes=(\d+)-(\d*)$/.exec(header ?? '');
  if (match === null) return undefined;
  return { from: Number(match[1]), to: match[2] === '' ? undefined : Number(match[2]) + 1 };
}
