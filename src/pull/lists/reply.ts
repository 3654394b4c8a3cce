import { OCI_INDEX } from '../../oci/media-types.ts';
import { cacheStatus, warning, type Source } from '../cache-status.ts';
import type { Reply } from '../reply.ts';

/** A list that we wrote ourselves, as JSON. */
export function json(value: unknown, source: Source, headers: Readonly<Record<string, string>>): Reply {
  return list('application/json', new TextEncoder().encode(JSON.stringify(value)), source, headers);
}

/** A list that is an image index, as referrers are. */
export function imageIndex(bytes: Uint8Array, source: Source, headers: Readonly<Record<string, string>>): Reply {
  return list(OCI_INDEX, bytes, source, headers);
}

function list(type: string, bytes: Uint8Array, source: Source, headers: Readonly<Record<string, string>>): Reply {
  const text = warning(source);
  return {
    status: 200,
    headers: {
      'content-type': type,
      'content-length': String(bytes.byteLength),
      'cache-status': cacheStatus(source),
      ...(text === undefined ? {} : { warning: text }),
      ...headers,
    },
    body: { kind: 'bytes', bytes },
  };
}
