/** A small edit that removes one defence, and the tests that must then fail (architecture.md, "Proof"). */
export interface Mutant {
  /** What is then wrong with the product, as a sentence: unique. */
  readonly name: string;
  /** What it proves to be guarded: `promise 1`, `decision 3`, `S12`, `R07`, `P55`, `CVE-2020-15157` … */
  readonly guards: readonly string[];
  /** From the repository's root. */
  readonly file: string;
  /** Exact text, which occurs once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Test files, from the repository's root. One failing test in any of them is enough. */
  readonly test: readonly string[];
  /** Only tests whose full name matches this pattern. */
  readonly testName?: string;
}

/**
 * What has to fail: for each statement and each published weakness among its guards a test whose title names it (`[P53]`), otherwise
 * any of its tests.
 */
export function proofsOf(mutant: Mutant): readonly Mutant[] {
  const statements = mutant.guards.filter((guard) => /^(?:P\d+|(?:CVE|GHSA)-[\w-]+)$/.test(guard));
  return statements.length === 0 ? [mutant] : statements.map((name) => ({ ...mutant, testName: `\\[${name}\\]` }));
}

/** The file's text with the mutant's edit; throws where the text to replace does not stand there exactly once. */
export function mutate(text: string, { file, find, replace }: Mutant): string {
  const at = text.indexOf(find);
  if (find === '' || at < 0) throw new Error(`its text is not in ${file}`);
  if (text.includes(find, at + 1)) throw new Error(`its text is more than once in ${file}`);
  if (find === replace) throw new Error('it changes nothing');
  return text.slice(0, at) + replace + text.slice(at + find.length);
}
