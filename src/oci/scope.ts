import { parseRegistry } from './registry.ts';
import { parseRepository } from './repository.ts';

/** One thing that a token is for, its name as the client spelt it (distribution, "Token Scope Documentation"). */
export interface Scope {
  /** `repository` or `registry`; others are for somebody else. */
  readonly type: string;
  /** `plugin` in `repository(plugin)`. */
  readonly class?: string;
  /** With the host where the client wrote one. */
  readonly name: string;
  /** `pull`, `push`, `delete`, `*`: each once, maybe none. */
  readonly actions: readonly string[];
}

/** What clients may ask for in one question, so that a token fits into a header; real ones ask for a handful. */
export const SCOPES_MAX = 100;
export const SCOPE_LENGTH_MAX = 8192;

/** What a client asks to be let do. */
export interface AskedScopes {
  /** One for each type, class and name, with all the actions asked for. */
  readonly scopes: readonly Scope[];
  /** How many did not read as scopes: nothing is granted for those. */
  readonly unread: number;
}

/** The scope that a pull from `repository` needs (distribution, "Token Scope Documentation"). */
export function pullScope(repository: string): string {
  return `repository:${repository}:pull`;
}

/**
 * All that the `scope` parameters of one question ask for; each holds one scope, or several with spaces between. `undefined`
 * where they are more than {@link SCOPES_MAX}, or longer than {@link SCOPE_LENGTH_MAX} characters together.
 */
export function readScopes(parameters: readonly string[]): AskedScopes | undefined {
  const length = parameters.reduce((sum, text) => sum + text.length, 0);
  if (length > SCOPE_LENGTH_MAX) return undefined;
  const words = parameters.flatMap((text) => text.split(' ')).filter((word) => word !== '');
  if (words.length > SCOPES_MAX) return undefined;
  const read = words.map((word) => parseScope(word)).filter((scope) => scope !== undefined);
  return { scopes: merge(read), unread: words.length - read.length };
}

/**
 * `repository(plugin):host:5000/acme/app:pull,push`. The type ends at the first colon, the actions begin behind the last.
 * `undefined` for what the grammar does not allow.
 */
export function parseScope(text: string): Scope | undefined {
  if (text.length > SCOPE_LENGTH_MAX) return undefined;
  const [first, last] = [text.indexOf(':'), text.lastIndexOf(':')];
  const type = TYPE.exec(text.slice(0, Math.max(first, 0)));
  const name = text.slice(first + 1, last);
  const actions = text
    .slice(last + 1)
    .split(',')
    .filter((action) => action !== '');
  if (type === null || first === last || !isName(name) || !actions.every((action) => ACTION.test(action))) return undefined;
  return {
    type: type[1] ?? '',
    ...(type[2] === undefined ? {} : { class: type[2] }),
    name,
    actions: [...new Set(actions)],
  };
}

export function formatScope({ type, class: kind, name, actions }: Scope): string {
  return `${type}${kind === undefined ? '' : `(${kind})`}:${name}:${actions.join(',')}`;
}

const TYPE = /^([a-z0-9]+)(?:\(([a-z0-9]+)\))?$/;
const ACTION = /^(?:[a-z]+|\*)$/;

/** A repository, with or without the host before it. */
function isName(name: string): boolean {
  if (parseRepository(name) !== undefined) return true;
  const slash = name.indexOf('/');
  return parseRegistry(name.slice(0, Math.max(slash, 0))) !== undefined && parseRepository(name.slice(slash + 1)) !== undefined;
}

function merge(scopes: readonly Scope[]): Scope[] {
  const merged = new Map<string, Scope>();
  for (const scope of scopes) {
    const key = formatScope({ ...scope, actions: [] });
    const actions = [...new Set([...(merged.get(key)?.actions ?? []), ...scope.actions])];
    merged.set(key, { ...scope, actions });
  }
  return [...merged.values()];
}
