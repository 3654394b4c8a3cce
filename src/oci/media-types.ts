export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
/** Of the specification's release candidates; ORAS and others wrote it for a while. */
export const OCI_ARTIFACT_MANIFEST = 'application/vnd.oci.artifact.manifest.v1+json';
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_SCHEMA1_SIGNED = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
export const DOCKER_SCHEMA1 = 'application/vnd.docker.distribution.manifest.v1+json';

/** Every type that a manifest can have, the ones most wanted first. */
const MANIFEST_TYPES: readonly string[] = [
  OCI_INDEX,
  OCI_MANIFEST,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  OCI_ARTIFACT_MANIFEST,
  DOCKER_SCHEMA1_SIGNED,
  DOCKER_SCHEMA1,
];

/**
 * The `Accept` of every request for a manifest: all types by name, since some registries do not know the asterisk, and
 * convert or deny what is stored under a type that was not named (protocol.md, statement 27).
 */
export const MANIFEST_ACCEPT = [...MANIFEST_TYPES, '*/*'].join(', ');

/** RFC 6838 4.2: type and subtype of at most 127 characters each. */
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/;

/** The longest value that is looked at. */
const VALUE_LENGTH_MAX = 1024;

/**
 * Type and subtype of a `Content-Type`, lower-cased, without parameters, which manifests must not carry (protocol.md,
 * statement 28). `undefined` for what is no media type: it then may not go into a header of ours either.
 */
export function mediaTypeOf(value: string | undefined): string | undefined {
  if (value === undefined || value.length > VALUE_LENGTH_MAX) return undefined;
  const semicolon = value.indexOf(';');
  const type = (semicolon < 0 ? value : value.slice(0, semicolon)).trim().toLowerCase();
  return MEDIA_TYPE.test(type) ? type : undefined;
}

/** Whether this names a manifest of any kind, indexes included. */
export function isManifestType(type: string): boolean {
  return MANIFEST_TYPES.includes(type);
}

/** Whether this names a manifest that lists manifests. */
export function isIndexType(type: string): boolean {
  return type === OCI_INDEX || type === DOCKER_LIST;
}

/** Whether this names one of Docker's first manifests, which have neither sizes nor descriptors. */
export function isSchema1Type(type: string): boolean {
  return type === DOCKER_SCHEMA1_SIGNED || type === DOCKER_SCHEMA1;
}
