import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The inputs from which a parser's new ones are made, in `corpus/<parser>.txt`: each a line, as a JSON string whose characters stand
 * for bytes. What ever failed is added at the end, and stays.
 */
export function readCorpus(directory: string, parser: string): readonly string[] {
  const file = join(directory, `${parser}.txt`);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as string);
}

/** What is too long to be looked at by anybody is only told. */
const KEPT_LENGTH_MAX = 8192;

export function addToCorpus(directory: string, parser: string, input: string): void {
  if (input.length > KEPT_LENGTH_MAX || readCorpus(directory, parser).includes(input)) return;
  appendFileSync(join(directory, `${parser}.txt`), `${toLine(input)}\n`);
}

/** Plain ASCII, whatever stands in it. */
export function toLine(input: string): string {
  return JSON.stringify(input).replaceAll(/[^\x20-\x7e]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
