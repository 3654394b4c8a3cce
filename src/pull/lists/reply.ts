import { cacheStatus, warning, type Source } from '../cache-status.ts';
import type { Reply } from '../reply.ts';

/** A list that we wrote ourselves, as JSON. */
export function json(value: unknown, source: Source, headers: Readonly<Record<string, string>>): Reply {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  const text = warning(source);
  return {
    status: 200,
    headers: {
      'content-type': 'application/json',
      'content-length': String(bytes.byteLength),
      'cache-status': cacheStatus(source),
      ...(text === undefined ? {} : { warning: text }),
      ...headers,
    },
    body: { kind: 'bytes', bytes },
  };
}
