import { parseDigest, type Digest } from './digest.ts';
import { isObject, own } from './json.ts';
import { mediaTypeOf } from './media-types.ts';

/** What a manifest says of other content (OCI image-spec, "descriptor.md"). Input keys stand in Maps (reliability.md, S26). */
export interface Descriptor {
  /** Lower-case, without parameters. */
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes; a safe integer. */
  readonly size: number;
  /** It names `urls` of its own (foreign, nondistributable layers). They are never dialled (reliability.md, S04). */
  readonly foreign: boolean;
  /** Of foreign ones. */
  readonly urls?: readonly string[];
  readonly artifactType?: string;
  /** Of an index's entries: `os/architecture` or `os/architecture/variant`. */
  readonly platform?: string;
}

export type DescriptorAnswer =
  | { readonly kind: 'descriptor'; readonly descriptor: Descriptor }
  /** Sound, but of an algorithm that no registry serves to us: nothing can be kept under it. */
  | { readonly kind: 'unregistered' }
  | { readonly kind: 'fault'; readonly reason: string };

/** `algorithm:encoded` of any algorithm (OCI image-spec, "Digests"). */
const DIGEST = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;
const REGISTERED = /^sha(?:256|512):/;
const DIGEST_LENGTH_MAX = 1024;

/** Reads one descriptor of parsed JSON. A missing type is tolerated, as clients do; digest and size are not. */
export function readDescriptor(value: unknown): DescriptorAnswer {
  if (!isObject(value)) return fault('a descriptor is not an object');
  const text = own(value, 'digest');
  if (typeof text !== 'string' || text.length > DIGEST_LENGTH_MAX || !DIGEST.test(text))
    return fault('a descriptor has no digest');
  const size = own(value, 'size');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    return fault('a descriptor has no size, or none that can be');
  const mediaType = readType(own(value, 'mediaType'));
  if (mediaType === undefined) return fault('a descriptor has a media type that is none');
  const digest = parseDigest(text);
  if (digest === undefined)
    return REGISTERED.test(text) ? fault('a descriptor has a malformed digest') : { kind: 'unregistered' };
  const urls = own(value, 'urls');
  const foreign = Array.isArray(urls) && urls.length > 0;
  const artifactType = own(value, 'artifactType');
  const platform = platformOf(own(value, 'platform'));
  const descriptor: Descriptor = {
    mediaType,
    digest,
    size,
    foreign,
    ...(foreign ? { urls: urls.map(String) } : {}),
    ...(typeof artifactType === 'string' && artifactType !== '' ? { artifactType } : {}),
    ...(platform === undefined ? {} : { platform }),
  };
  return { kind: 'descriptor', descriptor };
}

function readType(value: unknown): string | undefined {
  if (value === undefined || value === '') return 'application/octet-stream';
  return typeof value === 'string' ? mediaTypeOf(value) : undefined;
}

function platformOf(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  const parts = [own(value, 'os'), own(value, 'architecture'), own(value, 'variant')];
  const words = parts.filter((part): part is string => typeof part === 'string' && part !== '');
  return words.length < 2 ? undefined : words.join('/');
}

function fault(reason: string): DescriptorAnswer {
  return { kind: 'fault', reason };
}
