/**
 * The error codes that clients know. Fourteen are of the OCI distribution specification ("Error Codes"); the last six
 * are the official registry's (`registry/api/errcode`), still read by Docker.
 */
export type ErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'UNSUPPORTED'
  | 'TOOMANYREQUESTS'
  | 'TAG_INVALID'
  | 'PAGINATION_NUMBER_INVALID'
  | 'RANGE_INVALID'
  | 'MANIFEST_UNVERIFIED'
  | 'UNKNOWN'
  | 'UNAVAILABLE';

/** The status that the official registry gives each code; a {@link RegistryError} may choose another. */
const STATUS_OF_CODE: Readonly<Record<ErrorCode, number>> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 404,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  TAG_INVALID: 400,
  PAGINATION_NUMBER_INVALID: 400,
  RANGE_INVALID: 416,
  MANIFEST_UNVERIFIED: 400,
  UNKNOWN: 500,
  UNAVAILABLE: 502,
};

export interface RegistryErrorOptions {
  /** Instead of the code's usual status. */
  readonly status?: number;
  /** Shown to the client as JSON beside the message: what was tried, never a secret. */
  readonly detail?: unknown;
  /** Extra response headers, for example `Retry-After` or `Allow`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/**
 * An expected refusal that becomes a response as the specification's error JSON. `message` is one sentence with the
 * cause, for a person: Docker and containerd print only that.
 */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, options: RegistryErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.status = options.status ?? STATUS_OF_CODE[code];
    this.detail = options.detail;
    this.headers = options.headers ?? {};
  }

  /** The body of the response (OCI distribution-spec, "Error Codes"). */
  toBody(): string {
    const error = { code: this.code, message: this.message, ...(this.detail === undefined ? {} : { detail: this.detail }) };
    return JSON.stringify({ errors: [error] });
  }
}
