import picomatch from 'picomatch';
import { GLOB_OPTIONS, withNoneBehind } from '../oci/globs.ts';
import type { Subject } from './subject.ts';

export type Action = 'pull' | 'push' | 'delete';

/** Who may be named by a rule or a group (contract, `access`). In a `name` or a `value`, `*` stands for any text. */
export type SubjectPattern =
  | { readonly kind: 'anyone' }
  | { readonly kind: 'signed-in' }
  | { readonly kind: 'user' | 'token'; readonly name: string }
  | { readonly kind: 'group'; readonly name: string }
  | { readonly kind: 'oidc'; readonly issuer: string; readonly claim: string; readonly value: string };

export interface AccessRule {
  /** Patterns over `registry/repository`. */
  readonly match: readonly string[];
  readonly allow: Readonly<Record<Action, readonly SubjectPattern[]>>;
  /** `config.yml:12`. */
  readonly at: string;
}

export interface AccessOptions {
  /** `undefined`: none are written. Then everybody signed in may everything, or where nobody can sign in, everybody. */
  readonly rules: readonly AccessRule[] | undefined;
  readonly groups: ReadonlyMap<string, readonly SubjectPattern[]>;
  /** Somebody can say who they are. */
  readonly signsIn: boolean;
}

/** What was decided, and by which rule; `undefined`: none matches, or none are written. */
export interface Decision {
  readonly allowed: boolean;
  readonly rule: AccessRule | undefined;
}

/** Who may do what. Pure; decides in a microsecond, so that nobody need remember its answers. */
export interface Access {
  /** `holder` is `registry/repository`. The first rule that matches it decides alone. */
  decide(subject: Subject, action: Action, holder: string): Decision;
  /** Everybody may pull it, whoever they are or are not. */
  isOpen(holder: string): boolean;
  /** Whether a subject is one of those whom an entry of a rule stands for. */
  isOneOf(subject: Subject, pattern: SubjectPattern): boolean;
  /** Rules are written. */
  readonly hasRules: boolean;
}

export function createAccess({ rules, groups, signsIn }: AccessOptions): Access {
  const compiledGroups = new Map([...groups].map(([name, members]) => [name, compileSubjects(members, new Map())]));
  const compiled = rules?.map((rule) => ({
    rule,
    matches: picomatch(withNoneBehind(rule.match), GLOB_OPTIONS),
    allows: {
      pull: compileSubjects(rule.allow.pull, compiledGroups),
      push: compileSubjects(rule.allow.push, compiledGroups),
      delete: compileSubjects(rule.allow.delete, compiledGroups),
    },
  }));
  const decide: Access['decide'] = (subject, action, holder) => {
    if (compiled === undefined) return { allowed: !signsIn || isKnown(subject), rule: undefined };
    const first = compiled.find(({ matches }) => matches(holder));
    return { allowed: first?.allows[action](subject) === true, rule: first?.rule };
  };
  return {
    decide,
    isOpen: (holder) => decide({ kind: 'anyone' }, 'pull', holder).allowed,
    isOneOf: (subject, pattern) => compileSubject(pattern, compiledGroups)(subject),
    hasRules: compiled !== undefined,
  };
}

/**
 * Somebody whom we let sign in. A sign-in token of somebody else's issuer says only that there is such a job: all the world's jobs
 * have one, and choose its audience themselves. Who is to be let in by one, a rule names by its claims.
 */
function isKnown({ kind }: Subject): boolean {
  return kind === 'user' || kind === 'token';
}

type Matches = (subject: Subject) => boolean;

function compileSubjects(patterns: readonly SubjectPattern[], groups: ReadonlyMap<string, Matches>): Matches {
  const each = patterns.map((pattern) => compileSubject(pattern, groups));
  return (subject) => each.some((matches) => matches(subject));
}

function compileSubject(pattern: SubjectPattern, groups: ReadonlyMap<string, Matches>): Matches {
  switch (pattern.kind) {
    case 'anyone':
      return () => true;
    case 'signed-in':
      return isKnown;
    case 'group':
      // A group's members are named one by one: a group within a group is refused where the file is read.
      return groups.get(pattern.name) ?? (() => false);
    case 'oidc': {
      const fits = compileText(pattern.value);
      return (subject) =>
        subject.kind === 'oidc' &&
        subject.issuer === pattern.issuer &&
        Object.hasOwn(subject.claims, pattern.claim) &&
        (subject.claims[pattern.claim] ?? []).some((value) => fits(value));
    }
    default: {
      const fits = compileText(pattern.name);
      return (subject) => subject.kind === pattern.kind && fits(subject.name);
    }
  }
}

/** `ci-*`: `*` is any text, everything else itself, case and all. */
function compileText(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*');
  if (parts.length === 1) return (text) => text === pattern;
  const [first = '', ...rest] = parts;
  const last = rest.pop() ?? '';
  return (text) => {
    if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
    let at = first.length;
    const end = text.length - last.length;
    for (const part of rest) {
      const found = text.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}
