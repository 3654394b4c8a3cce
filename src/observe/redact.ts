/** What stands in a record instead of a secret. */
export const HIDDEN = '***';

/** Names of fields whose values are secrets, whatever they hold. */
const SECRET_NAME =
  /(^|[-_.])(password|passwd|secret|token|authorization|cookie|apikey|api_key|private_key)$|(password|secret|token)$/i;

/** Deeper or longer than any record of ours: errors with causes, lists of upstreams. */
const DEPTH_MAX = 6;
const ITEMS_MAX = 100;
const TEXT_LENGTH_MAX = 8 * 1024;

/**
 * A copy of a record's fields that is safe to print: secret fields hidden, and in all texts the userinfo and the query of
 * URLs, what follows `Basic` or `Bearer`, and machine tokens (contract, "Log": never a secret, a token, or a URL's query).
 * Errors become their messages with those of their causes.
 */
export function redact(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return redactObject(fields, 0);
}

function redactObject(fields: object, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    const secret = SECRET_NAME.test(name) && value !== undefined && value !== null && typeof value !== 'boolean';
    copy[name] = secret ? HIDDEN : redactValue(value, depth);
  }
  return copy;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value;
  if (value instanceof Error) return redactText(messageOf(value));
  if (depth >= DEPTH_MAX) return '…';
  if (Array.isArray(value)) return value.slice(0, ITEMS_MAX).map((item) => redactValue(item, depth + 1));
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  // Dates, and the configuration's secrets, which hide themselves so.
  if ('toJSON' in value && typeof value.toJSON === 'function') return redactValue((value.toJSON as () => unknown)(), depth + 1);
  return redactObject(value, depth + 1);
}

/** `fetch failed: connect ECONNREFUSED 127.0.0.1:1`. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const messages = [error.message];
  let cause = error.cause;
  while (cause instanceof Error && messages.length < DEPTH_MAX) {
    if (!messages.some((message) => message.includes((cause as Error).message))) messages.push(cause.message);
    cause = cause.cause;
  }
  return messages.join(': ');
}

/** One of `entrepot token create`: its id is no secret, and says which is to be revoked. */
const MACHINE_TOKEN = /(entrepot_[0-9a-f]{16}_)[A-Za-z0-9_-]+/g;

/**
 * Of a URL, from its `://` on; the scheme before it need not be looked at. Each begins where the last one ended, so that a text of
 * nothing but schemes is still read once (reliability.md, S27).
 */
const USERINFO = /:\/\/[^\s/?#"'<>]*@/g;
const FROM_AUTHORITY = /:\/\/[^\s"'<>]*/g;

/** A text without the secrets that texts carry by accident. */
export function redactText(text: string): string {
  const short = text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
  // Most texts hold none of the four: one cheap look spares them the replacing.
  if (!/:\/\/|\bbasic |\bbearer |entrepot_/i.test(short)) return short;
  return short
    .replaceAll(MACHINE_TOKEN, `$1${HIDDEN}`)
    .replaceAll(USERINFO, `://${HIDDEN}@`)
    .replaceAll(FROM_AUTHORITY, (found) => found.split('?', 1)[0] ?? '')
    .replaceAll(/\b(basic|bearer) +[a-z0-9._~+/=-]{6,}/gi, `$1 ${HIDDEN}`);
}
