import { RegistryError } from '../oci/errors.ts';
import type { Reply } from '../pull/reply.ts';

/** The specification's answer to what went wrong ("Error Codes"). */
export function errorReply(error: RegistryError, requestId: string): Reply {
  const bytes = Buffer.from(errorBody(error, requestId));
  return {
    status: error.status,
    headers: {
      ...error.headers,
      // Exactly this: Docker reads the codes of no other type, and some clients compare it whole (protocol.md 1.7).
      'content-type': 'application/json',
      'content-length': String(bytes.byteLength),
      'cache-control': 'no-store',
    },
    body: { kind: 'bytes', bytes },
  };
}

/** What stands in for a failure that is nobody's refusal: its own text stays in the log. */
export function unexpected(cause: unknown): RegistryError {
  return new RegistryError('UNKNOWN', 'an unexpected error in this mirror; its log says more', { cause });
}

/** The message ends with the request id, since clients print only the message. */
export function errorBody(error: RegistryError, requestId: string): string {
  const one = { code: error.code, message: `${error.message} (request ${requestId})` };
  try {
    return JSON.stringify({ errors: [error.detail === undefined ? one : { ...one, detail: error.detail }] });
  } catch {
    // A detail that JSON cannot hold is not worth the answer.
    return JSON.stringify({ errors: [one] });
  }
}
