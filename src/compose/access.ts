import { createAccess, type Access, type Action } from '../auth/access.ts';
import { AdminError } from '../admin/admin-error.ts';
import { explainDecision, patternText, subjectNamed } from '../auth/explain.ts';
import type { Subject } from '../auth/subject.ts';
import type { Config } from '../config/config.ts';
import { createNameParser } from '../pull/name.ts';
import { nameOptions } from './names.ts';
import { passesOn } from './passes-on.ts';

/** Who may what, as the configuration says. */
export function accessOf({ access, auth }: Pick<Config, 'access' | 'auth'>): Access {
  return createAccess({ ...access, signsIn: auth !== undefined });
}

export interface AccessAnswer {
  readonly subject: string;
  readonly action: Action;
  /** `registry/repository`. */
  readonly repository: string;
  readonly allowed: boolean;
  /** The line of the file that decides; `undefined` where none does. */
  readonly at: string | undefined;
  /** All that in a sentence. */
  readonly why: string;
}

/**
 * Whether somebody may do something, and why. `name` is a repository as one asks this server for it, with or without a tag.
 * Throws RegistryError for a name that is none, RangeError for a subject or an action.
 */
export function explainAccess(config: Config, subject: string, action: string, name: string): AccessAnswer {
  if (action !== 'pull' && action !== 'push' && action !== 'delete')
    throw new RangeError(`there is no action "${action}": expected pull, push or delete`);
  const who = requireSubject(subject);
  const repository = name.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
  const target = createNameParser(nameOptions(config))(`${config.http.prefix}/v2/${repository}/tags/list`, undefined);
  if (target.kind !== 'tags') throw new RangeError(`"${name}" is the name of no repository`);
  const holder = `${target.name.registry}/${target.name.repository}`;
  const access = accessOf(config);
  const { allowed, rule } = access.decide(who, action, holder);
  return {
    subject,
    action,
    repository: holder,
    allowed,
    at: rule?.at,
    why: `${explainDecision(access, who, action, holder)}${allowed && action === 'pull' ? ifShown(config, holder) : ''}`,
  };
}

/** Where the upstream has the last word. */
function ifShown(config: Config, holder: string): string {
  return passesOn(config)(holder) ? ', if its upstream shows it to the credentials that come with the request' : '';
}

/** Who may pull a repository, in a line; with `as`, whether that one may. Throws AdminError where nobody is called so. */
export function whoMayPull(config: Config, holder: string, as: string | undefined): string {
  const access = accessOf(config);
  if (as !== undefined) {
    try {
      const who = requireSubject(as);
      const { allowed } = access.decide(who, 'pull', holder);
      return `${explainDecision(access, who, 'pull', holder)}${allowed ? ifShown(config, holder) : ''}`;
    } catch (error) {
      throw error instanceof RangeError ? new AdminError(error.message) : error;
    }
  }
  const { rule } = access.decide({ kind: 'anyone' }, 'pull', holder);
  if (rule === undefined) {
    if (access.hasRules) return 'nobody: no rule of access matches';
    return config.auth === undefined
      ? `everybody${ifShown(config, holder)}: no auth is configured`
      : 'everybody who is signed in: no access is configured';
  }
  const listed = rule.allow.pull.map(patternText).join(', ');
  return `${listed === '' ? 'nobody' : `${listed}${ifShown(config, holder)}`} (${rule.at})`;
}

/** Throws RangeError where nobody is called so. */
function requireSubject(text: string): Subject {
  const subject = subjectNamed(text);
  if (subject !== undefined) return subject;
  throw new RangeError(
    `nobody is called "${text}": expected anyone, signed-in, user:NAME, token:NAME or oidc:ISSUER:CLAIM=VALUE`,
  );
}
