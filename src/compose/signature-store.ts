import type { Place, SignatureStore } from '../admission/cosign/store.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { parseReference } from '../oci/reference.ts';
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
      const reply = await pulling().lists.referrers(nameOf(place), digest, new URLSearchParams(), { trace: newTrace('') });
      return bytesOf(reply, digest);
    },
  };
}

function nameOf({ registry, repository }: Place): Name {
  return { registry, repository, shown: repository, ns: undefined, base: '' };
}

/** What a client would be told is not there, is not; everything else could not be found out. */
async function unlessAbsent<T>(get: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await get();
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return undefined;
    throw error;
  }
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
