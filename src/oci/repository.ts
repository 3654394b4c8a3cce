/** Names longer than this are refused: "many clients" do so (OCI distribution-spec, "Pulling manifests"). */
const LENGTH_MAX = 255;

const isLowerOrDigit = (code: number): boolean => (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);

/**
 * A repository name as it stands, `undefined` where the grammar forbids it (OCI distribution-spec, "Pulling manifests"):
 * components of lower-case letters and digits, joined by one `.`, one or two `_`, or any number of `-`; with `/` between
 * components. One pass by hand, since patterns for this grammar are known to backtrack (reliability.md, S27).
 */
export function parseRepository(text: string): string | undefined {
  if (text.length === 0 || text.length > LENGTH_MAX) return undefined;
  let at = 0;
  while (at < text.length) {
    const wordEnd = endOfWord(text, at);
    if (wordEnd === at) return undefined;
    if (wordEnd === text.length) return text;
    const next = endOfSeparator(text, wordEnd);
    if (next === undefined) return undefined;
    at = next;
  }
  // A separator came last.
  return undefined;
}

function endOfWord(text: string, from: number): number {
  let at = from;
  while (at < text.length && isLowerOrDigit(text.charCodeAt(at))) at += 1;
  return at;
}

/** Behind the separator that begins at `from`; `undefined` where there is none. What follows must be a word. */
function endOfSeparator(text: string, from: number): number | undefined {
  switch (text[from]) {
    case '/':
    case '.':
      return from + 1;
    case '_':
      return text[from + 1] === '_' ? from + 2 : from + 1;
    case '-': {
      let at = from + 1;
      while (text[at] === '-') at += 1;
      return at;
    }
    default:
      return undefined;
  }
}
