import { join } from 'node:path';
import type { Reply } from '../fakes/http-client.ts';
import type { Blob } from '../fakes/images.ts';

/** The repository that most scenarios use, as the upstream knows it. */
export const ALPINE = 'library/alpine';

export function blobPath(blob: Pick<Blob, 'digest'>, repository = ALPINE): string {
  return `/v2/docker.io/${repository}/blobs/${blob.digest}`;
}

export function manifestPath(reference: string, repository = ALPINE): string {
  return `/v2/docker.io/${repository}/manifests/${reference}`;
}

/** Where the scenario's own server keeps the bytes of a digest. */
export function fileOf({ directory }: { readonly directory: string }, { digest }: Pick<Blob, 'digest'>): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return join(directory, 'data', 'entrepot', 'blobs', algorithm, hex.slice(0, 2), hex);
}

/** The code of an error answer (OCI distribution-spec, "Error Codes"); throws when it is none. */
export async function codeOf(reply: Reply): Promise<string> {
  if (!reply.headers['content-type']?.startsWith('application/json')) throw new Error('an error that is not JSON');
  const { errors } = await reply.json<{ errors: { code: string; message: string }[] }>();
  const [error] = errors;
  if (error === undefined || typeof error.message !== 'string') throw new Error('an error without code or message');
  return error.code;
}

/** Status and code together. */
export async function refusalOf(reply: Reply): Promise<string> {
  return `${reply.status} ${await codeOf(reply)}`;
}
