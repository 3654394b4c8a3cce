/** What a token is asked for (distribution, "Token Scope Documentation"). */
export interface Scope {
  /** `repository`, `registry` … */
  readonly type: string;
  /** The deprecated addition to a type: `repository(plugin)`. */
  readonly class: string | undefined;
  /** Of a repository: perhaps with a registry's host and port before it. */
  readonly name: string;
  /** As written, `*` among them. */
  readonly actions: readonly string[];
}

const TYPE = /^([a-z0-9]+)(?:\(([a-z0-9]+)\))?$/;
const ACTION = /^(?:[a-z]+|\*)$/;
const LENGTH_MAX = 4096;

/** The scope that a pull from `repository` needs. */
export function pullScope(repository: string): string {
  return `repository:${repository}:pull`;
}

/**
 * One scope of a list; `undefined` for what is none. The type ends at the first colon and the actions begin behind the
 * last, since a name may hold a port.
 */
export function parseScope(text: string): Scope | undefined {
  const first = text.indexOf(':');
  const last = text.lastIndexOf(':');
  if (text.length > LENGTH_MAX || first < 0 || last - first < 2) return undefined;
  const type = TYPE.exec(text.slice(0, first));
  const name = text.slice(first + 1, last);
  const actions = text
    .slice(last + 1)
    .split(',')
    .filter((action) => action !== '');
  if (type?.[1] === undefined || !/^[!-~]+$/.test(name) || !actions.every((action) => ACTION.test(action))) return undefined;
  return { type: type[1], class: type[2], name, actions };
}
