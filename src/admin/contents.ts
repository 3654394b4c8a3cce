import { parseDigest, type Digest } from '../oci/digest.ts';

/** What a manifest or an index names, as far as a person asks for it. */
export interface Contents {
  /** Of an index. */
  readonly manifests: readonly { readonly platform: string; readonly digest: Digest }[];
  /** Of an image: its config and layers, each once. */
  readonly blobs: readonly Digest[];
}

/** Reads bytes that were verified when they were stored. What is no JSON object names nothing. */
export function readContents(bytes: Uint8Array): Contents {
  const manifest = parseObject(new TextDecoder().decode(bytes));
  const manifests = listOf(manifest['manifests']).flatMap((entry) => {
    const digest = digestOf(entry);
    return digest === undefined ? [] : [{ platform: platformOf(entry['platform']), digest }];
  });
  const blobs = [manifest['config'], ...listOf(manifest['layers'])].flatMap((entry) => digestOf(entry) ?? []);
  return { manifests, blobs: [...new Set(blobs)] };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    return asObject(JSON.parse(text));
  } catch {
    // Not JSON: a manifest of an unknown kind, of which nothing more can be said.
    return {};
  }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(asObject) : [];
}

function digestOf(entry: unknown): Digest | undefined {
  const { digest } = asObject(entry);
  return typeof digest === 'string' ? parseDigest(digest) : undefined;
}

/** OCI image-spec, "Image Index": os, architecture, variant. */
function platformOf(value: unknown): string {
  const { os, architecture, variant } = asObject(value);
  const parts = [os, architecture, variant].filter((part): part is string => typeof part === 'string');
  return parts.length === 0 ? 'unknown' : parts.join('/');
}
