import { WELL_KNOWN_PATTERNS } from '../oci/well-known.ts';

/** The patterns that one entry of a `match` stands for. */
export function spellOut(pattern: string): readonly string[] {
  return pattern === 'well-known' ? WELL_KNOWN_PATTERNS : [pattern];
}
