import type { Access, Action, SubjectPattern } from './access.ts';
import { subjectText, type Claims, type Subject } from './subject.ts';

/** A decision in a sentence, with the line of the file that decides: `user:ann may pull a.test/b: config.yml:12 lists group:dev`. */
export function explainDecision(access: Access, subject: Subject, action: Action, holder: string): string {
  const { allowed, rule } = access.decide(subject, action, holder);
  const who = `${subjectText(subject)} ${allowed ? 'may' : 'may not'} ${action} ${holder}`;
  if (rule === undefined) return `${who}: ${withoutRule(access, allowed, subject)}`;
  if (allowed) {
    const by = rule.allow[action].find((pattern) => access.isOneOf(subject, pattern));
    return `${who}: ${rule.at} lists ${by === undefined ? 'them' : patternText(by)}`;
  }
  const listed = rule.allow[action].map(patternText).join(', ');
  const says = listed === '' ? `lists nobody for ${action}` : `lists only ${listed}`;
  return `${who}: ${rule.at} is the first rule that matches, and ${says}`;
}

function withoutRule({ hasRules }: Access, allowed: boolean, subject: Subject): string {
  if (hasRules) return 'no rule of access matches, and what none matches is denied';
  if (!allowed) return 'there are no rules of access, and who is not signed in may nothing where auth stands';
  return subject.kind === 'anyone'
    ? 'there is neither auth nor access, so that everybody may everything'
    : 'there are no rules of access, so that everybody who is signed in may everything';
}

/** As it stands in the file. */
export function patternText(pattern: SubjectPattern): string {
  switch (pattern.kind) {
    case 'anyone':
    case 'signed-in':
      return pattern.kind;
    case 'oidc':
      return `oidc:${pattern.issuer}:${pattern.claim}=${pattern.value}`;
    default:
      return `${pattern.kind}:${pattern.name}`;
  }
}

/**
 * Somebody as one names them on a command line: `anyone`, `signed-in` (somebody whom no rule names), `user:ann`, `token:ci`,
 * `oidc:github:repository_owner=acme,ref=refs/heads/main`. `undefined`: nobody is called so.
 */
export function subjectNamed(text: string): Subject | undefined {
  if (text === 'anyone') return { kind: 'anyone' };
  if (text === 'signed-in') return { kind: 'user', name: '' };
  const [, kind, rest = ''] = /^(user|token|oidc):(\S+)$/.exec(text) ?? [];
  if (kind === 'user') return { kind, name: rest };
  if (kind === 'token') return { kind, name: rest, id: '' };
  const [, issuer, claimed] = /^([^:]+):(.+=.+)$/.exec(rest) ?? [];
  if (kind !== 'oidc' || issuer === undefined || claimed === undefined) return undefined;
  const claims = Object.create(null) as Record<string, readonly string[]>;
  for (const one of claimed.split(',')) {
    const [, claim, value] = /^([^=]+)=(.*)$/.exec(one) ?? [];
    if (claim === undefined || value === undefined) return undefined;
    claims[claim] = [...(claims[claim] ?? []), value];
  }
  return { kind, issuer, id: claimed, claims: claims satisfies Claims };
}
