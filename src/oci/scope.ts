/** What a token request asks for (distribution, "Token Scope Documentation"). */
export interface Scope {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** The scope that pulls a repository. */
export function pullScope(repository: string): string {
  return `repository:${repository}:pull`;
}

/** One resource scope: the type ends at the first colon, the actions begin behind the last; `undefined` for anything else. */
export function parseScope(text: string): Scope | undefined {
  const first = text.indexOf(':');
  const last = text.lastIndexOf(':');
  if (first <= 0 || last === first) return undefined;
  const name = text.slice(first + 1, last);
  const actions = text
    .slice(last + 1)
    .split(',')
    .filter((action) => action !== '');
  if (name === '' || !actions.every((action) => action === '*' || /^[a-z]+$/.test(action))) return undefined;
  return { type: text.slice(0, first), name, actions };
}
