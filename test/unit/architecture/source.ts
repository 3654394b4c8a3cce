/** One `from '…'` of a source file. */
export interface Import {
  readonly specifier: string;
  readonly line: number;
}

/** A source file's text, twice: as it is, and with every comment and the inside of every literal made blank. */
export interface Source {
  /** Below `src/`, with slashes. */
  readonly path: string;
  readonly text: string;
  /** Of the same length as `text`, with the same lines. */
  readonly code: string;
}

export function readSource(path: string, text: string): Source {
  return { path, text, code: blank(text) };
}

export function lineOf(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}

/** Imports and re-exports, of values and of types, static and dynamic. */
export function importsOf({ text, code }: Source): Import[] {
  const found: Import[] = [];
  // The quotes are still in the code; what is between them is taken from the text.
  const pattern = /(?:(?<![.\w])(?:from|import)\s*|(?<![.\w])(?:import|require)\s*\(\s*)(['"])( *)\1/g;
  for (const match of code.matchAll(pattern)) {
    const end = match.index + match[0].length - 1;
    const start = end - (match[2]?.length ?? 0);
    found.push({ specifier: text.slice(start, end), line: lineOf(text, match.index) });
  }
  return found;
}

const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`|\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g;

/** A slash behind one of these begins a pattern; behind anything else it divides. */
const BEFORE_PATTERN = /(?:^|[([{,;=:!&|?+\-*%<>~^\n]|=>|\breturn|\btypeof)\s*$/;

function blank(text: string): string {
  const spaces = (part: string): string => part.replaceAll(/[^\n]/g, ' ');
  let code = '';
  let at = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const [token] = match;
    code += text.slice(at, match.index);
    at = match.index;
    const isComment = token.startsWith('//') || token.startsWith('/*');
    if (!isComment && token.startsWith('/') && !BEFORE_PATTERN.test(code.slice(-40))) {
      TOKEN.lastIndex = at + 1;
      continue;
    }
    code += isComment
      ? spaces(token)
      : token.startsWith('`')
        ? blankTemplate(token)
        : `${token[0]}${spaces(token.slice(1, -1))}${token.at(-1)}`;
    at += token.length;
  }
  return code + text.slice(at);
}

/** What stands in `${…}` is code, as far as it holds no template of its own. */
function blankTemplate(token: string): string {
  return token.replaceAll(/\$\{[^{}`]*\}|[^\n]/g, (part) => (part.length > 1 ? part : ' '));
}
