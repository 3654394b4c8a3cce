import type { Place, SignatureStore } from '../admission/cosign/store.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { nextLink } from '../oci/link.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { parseReference } from '../oci/reference.ts';
import { readReferrers } from '../oci/referrers.ts';
import { parseUrl } from '../oci/url.ts';
import type { Content } from '../pull/content.ts';
import type { Name } from '../pull/name.ts';
import type { Reply } from '../pull/reply.ts';
import { newTrace } from '../pull/trace.ts';
import type { Pulling } from './pulling.ts';

/** What judges read of a repository: pulled as a client would, unjudged, and of nobody's right. */
export function createSignatureStore(pulling: () => Pick<Pulling, 'pull' | 'lists'>): SignatureStore {
  const common = (signal: AbortSignal) => ({ method: 'GET', unjudged: true, signal, trace: newTrace('') }) as const;
  return {
    manifest: (place, text, signal) =>
      unlessAbsent(async () => {
        const reference = parseReference(text);
        if (reference === undefined) return undefined;
        const target = { kind: 'manifest', name: nameOf(place), reference } as const;
        const { headers, body } = await pulling().pull({ ...common(signal), target });
        return body.kind === 'bytes' ? { mediaType: headers['content-type'] ?? '', bytes: body.bytes } : undefined;
      }),
    blob: (place, digest, bytesMax, signal) =>
      unlessAbsent(async () => {
        const target = { kind: 'blob', name: nameOf(place), digest } as const;
        const { body } = await pulling().pull({ ...common(signal), target });
        return body.kind === 'content' ? readWhole(body.content, bytesMax, signal) : undefined;
      }),
    async referrers(place, digest) {
      const manifests: unknown[] = [];
      let query: URLSearchParams | undefined = new URLSearchParams();
      for (let page = 0; page < PAGES_MAX && query !== undefined; page++) {
        const reply: Reply = await pulling().lists.referrers(nameOf(place), digest, query, { trace: newTrace('') });
        manifests.push(...(readReferrers(bytesOf(reply, digest)) ?? []));
        query = queryOf(reply.headers['link']);
      }
      return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
    },
  };
}

function nameOf({ registry, repository }: Place): Name {
  return { registry, repository, shown: repository, ns: undefined, base: '' };
}

/** Of a list of referrers: more than anybody has signatures. */
const PAGES_MAX = 10;

/** Our own links are relative to nothing in particular here. */
const HERE = new URL('http://here');

/** Of the next page. */
function queryOf(link: string | undefined): URLSearchParams | undefined {
  const next = nextLink(link);
  return next === undefined ? undefined : parseUrl(next, HERE)?.searchParams;
}

/**
 * What a client would be told is not there, is not; everything else could not be found out. Where a route is offline nobody was asked:
 * what is not held may be there all the same.
 */
async function unlessAbsent<T>(get: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await get();
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404 && !isOffline(error)) return undefined;
    throw error;
  }
}

function isOffline({ detail }: RegistryError): boolean {
  return typeof detail === 'object' && detail !== null && 'offline' in detail;
}

function bytesOf({ body }: Reply, digest: Digest): Uint8Array {
  if (body.kind === 'bytes') return body.bytes;
  throw new Error(`the referrers of ${digest} came without a list`);
}

/** `undefined` where it is longer than `bytesMax`. */
async function readWhole(content: Content, bytesMax: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const reader = await content.open(0, undefined, signal);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    const into = new Uint8Array(Math.min(bytesMax + 1, 65_536));
    for (let count = await reader.read(into); count > 0; count = await reader.read(into)) {
      bytes += count;
      if (bytes > bytesMax) return undefined;
      chunks.push(into.slice(0, count));
    }
  } finally {
    reader.close();
  }
  return Buffer.concat(chunks);
}
