import { readJsonObject } from '../oci/json.ts';
import type { Entering } from './judge.ts';

/** What whoever is asked is told, as JSON. */
export interface Question {
  readonly registry: string;
  readonly repository: string;
  /** Absent where it was asked for by its digest. */
  readonly tag?: string;
  readonly digest: string;
  readonly mediaType: string;
  /** `docker.io/library/alpine@sha256:…`: what it is called. */
  readonly reference: string;
  /** Where the manifest can be had until the question ends; its blobs are beside it. */
  readonly pull: string;
  /** The same for programs that take an image's name; absent where this server is behind a path (`http.prefix`). */
  readonly image?: string;
  /** The manifest as JSON; as base64 where it is none. */
  readonly manifest: unknown;
}

export function questionText(content: Entering, address: string, nonce: string): string {
  const { registry, repository, tag, digest, mediaType, bytes } = content;
  // No component of an image's name holds a colon, and no host an underscore: `name.ts` reads it back.
  const name = `admission/${nonce}/${registry.replace(/:(\d+)$/, '_$1')}/${repository}`;
  const { host, pathname } = new URL(address);
  const question: Question = {
    registry,
    repository,
    ...(tag === undefined ? {} : { tag }),
    digest,
    mediaType,
    reference: `${registry}/${repository}@${digest}`,
    pull: `${address.replace(/\/+$/, '')}/v2/${name}/manifests/${digest}`,
    ...(pathname === '/' ? { image: `${host}/${name}@${digest}` } : {}),
    manifest: parsed(bytes),
  };
  return JSON.stringify(question);
}

/** Whoever is asked may still want to see what is none. */
function parsed(bytes: Uint8Array): unknown {
  const read = readJsonObject(bytes);
  return read.kind === 'object' ? read.value : Buffer.from(bytes).toString('base64');
}
