/** Characters of a reason that are kept and shown. */
const REASON_MAX = 300;

/** Somebody else's words as one line that neither a terminal nor a log can be led astray by; never empty. */
export function cleanReason(text: string): string {
  // Control characters, what steers the direction of writing, and what is no character at all.
  const line = text.replaceAll(/[\p{C}\p{Z}]+/gu, ' ').trim();
  const letters = Array.from(line);
  if (letters.length <= REASON_MAX) return line === '' ? 'no reason was given' : line;
  return `${letters.slice(0, REASON_MAX - 1).join('')}…`;
}
