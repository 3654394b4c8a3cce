import { startDigest } from '../oci/digest.ts';
import { etagOf, type Content, type Reader } from './content.ts';
import type { HeldBack } from './fill/growing-reader.ts';
import { waitsForDigest } from './fill/growing.ts';
import { SpanReader } from './span-reader.ts';
import { ThroughReader, type ThroughSource } from './through-reader.ts';

/** Content that nobody keeps: each reader has an upstream transfer of its own. */
export function throughContent(source: ThroughSource): Content {
  return {
    digest: source.digest,
    size: source.size,
    etag: etagOf(source.digest),
    open: (from, to, signal) => openThrough(source, from, to, undefined, signal),
  };
}

/**
 * Reads `from` up to `to` straight from the chain. Where that is of what nobody gets before the digest matches, by whatever
 * way (promise 1), all of the blob is fetched: from what stands in `back` on, else from its first byte. Rejects with
 * RegistryError where no upstream supplies.
 */
export async function openThrough(
  source: ThroughSource,
  from: number,
  to: number | undefined,
  back: HeldBack | undefined,
  signal: AbortSignal,
): Promise<Reader> {
  if (!waitsForDigest(source.size, to)) return connected(new ThroughReader(source, from, to, undefined, signal));
  const start = back ?? { from: 0, held: new Uint8Array(0), hash: startDigest(source.digest) };
  const whole = await connected(new ThroughReader(source, start.from, undefined, start, signal));
  const span = new SpanReader(whole, from - start.from, (to ?? Infinity) - from);
  try {
    await span.ready();
    return span;
  } catch (error) {
    span.close();
    throw error;
  }
}

async function connected(reader: ThroughReader): Promise<ThroughReader> {
  try {
    await reader.connect();
    return reader;
  } catch (error) {
    reader.close();
    throw error;
  }
}
