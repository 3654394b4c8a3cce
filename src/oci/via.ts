/**
 * RFC 9110 7.6.3, `Via`, as far as it is needed to see that a request goes round in circles. Only mirrors of our kind are
 * read and passed on: the names of other proxies are nobody's business further out ("… SHOULD NOT forward the names").
 */

/** How one mirror names itself, all its processes alike: `entrepot-` and sixteen hexadecimal digits. */
export type Pseudonym = string;

const PSEUDONYM = /^entrepot-[0-9a-f]{16}$/;

export function isPseudonym(text: string): text is Pseudonym {
  return PSEUDONYM.test(text);
}

/** Of 64 bits at least, as hexadecimal digits. */
export function pseudonymOf(id: string): Pseudonym {
  return `entrepot-${id.slice(0, 16)}`;
}

/** The mirrors through which a request came, the first one first, each once. */
export function parseVia(header: string | undefined): readonly Pseudonym[] {
  if (header === undefined) return [];
  const hops = header.split(',').map((hop) => /^\s*(?:HTTP\/)?1\.[01]\s+(\S+)/i.exec(hop)?.[1] ?? '');
  return [...new Set(hops.filter(isPseudonym))];
}

/** The header that says so. */
export function formatVia(pseudonyms: readonly Pseudonym[]): string {
  return pseudonyms.map((pseudonym) => `1.1 ${pseudonym}`).join(', ');
}
