import type { Parser } from './parser.ts';
import { answers } from './parsers/answers.ts';
import { configuration } from './parsers/configuration.ts';
import { credentials } from './parsers/credentials.ts';
import { documents } from './parsers/documents.ts';
import { fields } from './parsers/fields.ts';
import { names } from './parsers/names.ts';
import { signatures } from './parsers/signatures.ts';
import { texts } from './parsers/texts.ts';
import { tokenParsers } from './parsers/tokens.ts';

/** Every parser that sees what a stranger wrote. */
export async function allParsers(): Promise<readonly Parser[]> {
  return [
    ...names,
    ...fields,
    ...documents,
    ...answers,
    ...credentials,
    ...(await tokenParsers()),
    ...configuration,
    ...signatures,
    ...texts,
  ];
}

/** Those of these names; all of them where none is named. Throws for a name that none has. */
export async function parsersCalled(wanted: readonly string[]): Promise<readonly Parser[]> {
  const all = await allParsers();
  const odd = wanted.find((name) => all.every((parser) => parser.name !== name));
  if (odd !== undefined) throw new Error(`no parser is called ${odd}: there are ${all.map(({ name }) => name).join(', ')}`);
  return wanted.length === 0 ? all : all.filter(({ name }) => wanted.includes(name));
}
