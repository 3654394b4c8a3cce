import { cacheStatus } from './cache-status.ts';
import type { ReadyContent } from './ready.ts';
import type { Reply } from './reply.ts';
import { blobHeaders, respondManifest } from './respond.ts';

/** `ns`: the parameter that decided, which is said back (OCI distribution-spec, "Registry Proxying"). */
export type ReadyReply = (content: ReadyContent, method: 'GET' | 'HEAD', ns: string | undefined) => Reply;

interface Made {
  readonly mediaType: string | undefined;
  readonly cacheStatus: string;
  readonly ns: string | undefined;
  readonly headers: Reply['headers'];
}

/**
 * Replies of what is at hand, whose headers are made once for each piece of bytes in memory and frozen, as long as they say the same: of
 * a tag they change with each second of its ttl. They go with the bytes. Saves a tenth of a hit.
 */
export function createReadyReply(): ReadyReply {
  const known = new WeakMap<Uint8Array, Made>();
  return (content, method, ns) => {
    const { bytes, mediaType, source } = content;
    const status = cacheStatus(source);
    let made = known.get(bytes);
    if (made === undefined || made.cacheStatus !== status || made.mediaType !== mediaType || made.ns !== ns) {
      made = { mediaType, cacheStatus: status, ns, headers: Object.freeze(headersOf(content, ns)) };
      known.set(bytes, made);
    }
    return { status: 200, headers: made.headers, body: method === 'HEAD' ? { kind: 'none' } : { kind: 'bytes', bytes } };
  };
}

function headersOf({ digest, mediaType, bytes, source }: ReadyContent, ns: string | undefined): Reply['headers'] {
  const size = bytes.byteLength;
  const headers =
    mediaType === undefined
      ? blobHeaders(digest, size, source)
      : respondManifest({ digest, mediaType, size, bytes }, source, { method: 'GET' }).headers;
  return ns === undefined ? headers : { ...headers, 'oci-namespace': ns };
}
