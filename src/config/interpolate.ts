import type { Fault } from './fault.ts';
import { childrenOf, faultAt, type Path } from './tree-path.ts';
import type { Tree } from './tree.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** `$${` · `${NAME}` · `${NAME:-default}` · and what begins like one but is none. */
const REFERENCE = /\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^${}]*))?\}|)/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}` inside the values of `tree`, in place, never in its keys; `$${` is a literal
 * `${`. As in a shell, the default stands in for an empty variable too. Yields what could not be replaced.
 */
export function interpolate(tree: Tree, env: Environment, path: Path = []): Fault[] {
  if (tree.kind !== 'scalar') return childrenOf(tree).flatMap(([name, child]) => interpolate(child, env, [...path, name]));
  const faults: Fault[] = [];
  tree.text = tree.text?.replaceAll(REFERENCE, (found: string, name: string | undefined, fallback: string | undefined) => {
    if (found === '$${') return '${';
    const value = name === undefined ? undefined : valueOf(env, name, fallback);
    if (value === undefined) faults.push(faultAt(tree.at, path, expectation(name)));
    return value ?? found;
  });
  return faults;
}

function valueOf(env: Environment, name: string, fallback: string | undefined): string | undefined {
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  return fallback === undefined ? value : value || fallback;
}

function expectation(name: string | undefined): string {
  if (name === undefined) return 'expected ${NAME} or ${NAME:-default}; a literal ${ is written $${';
  return `expected the environment to hold ${name}, or a default as in \${${name}:-default}`;
}
