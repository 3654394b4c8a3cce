import { startDigest } from '../oci/digest.ts';
import { etagOf, type Content, type Reader } from './content.ts';
import type { HeldBack } from './fill/growing-reader.ts';
import { ThroughReader, type ThroughSource } from './through-reader.ts';

/** Content that nobody keeps: each reader has an upstream transfer of its own. */
export function throughContent(source: ThroughSource): Content {
  const fresh = (): HeldBack => ({ held: new Uint8Array(0), hash: startDigest(source.digest) });
  return {
    digest: source.digest,
    size: source.size,
    etag: etagOf(source.digest),
    open: (from, to, signal) => openThrough(source, from, to, from === 0 ? fresh() : undefined, signal),
  };
}

/**
 * Reads `from` up to `to` straight from the chain. With `back`, and `to` at the end of the blob, the tail is held back until
 * the digest matches; a part of a blob cannot be verified by anybody. Rejects with RegistryError where no upstream supplies.
 */
export async function openThrough(
  source: ThroughSource,
  from: number,
  to: number | undefined,
  back: HeldBack | undefined,
  signal: AbortSignal,
): Promise<Reader> {
  const whole = to === undefined || to === source.size;
  const reader = new ThroughReader(source, from, to, whole ? back : undefined, signal);
  try {
    await reader.connect();
    return reader;
  } catch (error) {
    reader.close();
    throw error;
  }
}
