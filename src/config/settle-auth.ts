import type { AccessConfig, AccessRuleConfig, AuthConfig, OidcConfig, TokenConfig } from './auth-config.ts';
import { nearest } from './nearest.ts';
import type { Written } from './schema.ts';
import type { Settling } from './settling.ts';
import type { SubjectPattern } from './subject-pattern.ts';
import { spellOut } from './spell-out.ts';
import { placeAt, type Path } from './tree-path.ts';

type WrittenAuth = NonNullable<Written['auth']>;

/** Ways to say who one is; `undefined` where there is none. */
export async function settleAuth(written: Written['auth'], work: Settling): Promise<AuthConfig | undefined> {
  if (written === undefined) return undefined;
  const { htpasswd, issue, token, oidc } = written;
  if (htpasswd !== undefined) await work.readAgain(htpasswd.path, ['auth', 'htpasswd', 'path']);
  return {
    htpasswd: htpasswd && { realm: htpasswd.realm, path: work.absolute(htpasswd.path) },
    lifetime: issue.lifetime,
    token: await settleToken(token, work),
    oidc: await settleIssuers(oidc, work),
  };
}

async function settleToken(written: WrittenAuth['token'], work: Settling): Promise<TokenConfig | undefined> {
  if (written === undefined) return undefined;
  const path = ['auth', 'token'];
  const certificates = await work.read(written.rootcertbundle, [...path, 'rootcertbundle']);
  const jwks = await work.read(written.jwks, [...path, 'jwks']);
  if (written.rootcertbundle === undefined && written.jwks === undefined)
    work.fault(path, 'expected rootcertbundle or jwks: without keys no token can be believed');
  const { realm, service, issuer, autoredirect, autoredirectpath, signingalgorithms } = written;
  return {
    realm,
    service,
    issuer,
    certificates,
    jwks,
    algorithms: signingalgorithms,
    redirectPath: autoredirect ? autoredirectpath : undefined,
  };
}

async function settleIssuers(written: WrittenAuth['oidc'], work: Settling): Promise<ReadonlyMap<string, OidcConfig>> {
  const settled = new Map<string, OidcConfig>();
  for (const [name, { issuer, audience, jwks }] of written)
    settled.set(name, { issuer, audience, jwks: await work.read(jwks, ['auth', 'oidc', name, 'jwks']) });
  return settled;
}

/**
 * The rules of `access`, with faults for subjects that nothing can produce (contract), and for names that nothing has: a rule that
 * was to close something would close nothing. `plain`: the one registry of a plain registry.
 */
export function settleAccess(written: Written, plain: string | undefined, work: Settling): AccessConfig {
  const { auth, access, groups } = written;
  const hasCertificates = (written.http.tls?.clientcas ?? []).length > 0;
  const known: Known = {
    users: auth?.htpasswd !== undefined || auth?.token !== undefined || hasCertificates,
    tokens: auth !== undefined,
    issuers: [...(auth?.oidc.keys() ?? [])],
    groups: [...groups.keys()],
  };
  for (const [name, members] of groups) {
    for (const [index, member] of members.entries()) {
      const path = ['groups', name, index];
      if (member.kind === 'group') work.fault(path, 'expected its members one by one: a group within a group is not followed');
      else checkSubject(member, path, known, work);
    }
  }
  if (known.issuers.length > 0 && access === undefined)
    work.fault(['auth', 'oidc'], 'expected rules under access that name claims: anybody can have a token of such an issuer');
  const rules = access?.map((rule, index): AccessRuleConfig => {
    const path = ['access', index];
    if (rule.match.length === 0) work.fault([...path, 'match'], 'expected at least one pattern');
    for (const [at, pattern] of rule.match.entries())
      checkCalled(pattern, [...path, 'match', at], { aliases: written.names.aliases, plain }, work);
    for (const action of ['pull', 'push', 'delete'] as const)
      for (const [at, subject] of rule[action].entries()) checkSubject(subject, [...path, action, at], known, work);
    const { line, variable, file } = placeAt(work.tree, path);
    const { pull, push, delete: remove } = rule;
    const match = rule.match.flatMap(spellOut);
    return { match, allow: { pull, push, delete: remove }, at: line === 0 ? (variable ?? file) : `${file}:${line}` };
  });
  if (access === undefined && auth?.token !== undefined && written.routes !== undefined)
    work.warnings.push(
      'auth.token: tokens say nothing of the registry, so that without access one for acme/app is good for that name in every registry that ns or a Host may name; write rules',
    );
  if (access === undefined && groups.size > 0)
    work.warnings.push('groups has no effect here: no rule of access could name one');
  return { rules, groups };
}

interface Names {
  readonly aliases: ReadonlyMap<string, string>;
  readonly plain: string | undefined;
}

/** Rules are asked by the name that is left when all spellings have been undone. */
function checkCalled(pattern: string, path: Path, { aliases, plain }: Names, work: Settling): void {
  const [registry = '', ...rest] = pattern.split('/');
  if (rest.length === 0) return;
  const canonical = aliases.get(registry);
  const behind = rest.join('/');
  if (plain !== undefined && registry !== plain && !/[*?]/.test(registry))
    work.fault(path, `expected ${plain}, as a plain registry keeps its names`, `${plain}/${behind}`);
  else if (plain === undefined && canonical !== undefined)
    work.fault(path, `expected ${canonical}, of which this is an alias`, `${canonical}/${behind}`);
  else if (registry === 'docker.io' && rest.length === 1 && behind !== '**')
    work.fault(path, 'expected library, under which Docker Hub keeps such names', `docker.io/library/${behind}`);
}

/** What can be said of somebody, with this configuration. */
interface Known {
  readonly users: boolean;
  readonly tokens: boolean;
  readonly issuers: readonly string[];
  readonly groups: readonly string[];
}

function checkSubject(subject: SubjectPattern, path: Path, known: Known, work: Settling): void {
  switch (subject.kind) {
    case 'anyone':
      return;
    case 'signed-in':
      if (!known.users && !known.tokens) work.fault(path, 'expected anyone, or auth: nothing here lets anybody sign in');
      return;
    case 'user':
      if (!known.users)
        work.fault(
          path,
          'expected auth.htpasswd, auth.token or http.tls.clientcas: nothing here can say that somebody is this user',
        );
      return;
    case 'token':
      if (!known.tokens) work.fault(path, 'expected auth: without it no token is asked for');
      return;
    case 'group':
      if (!known.groups.includes(subject.name))
        work.fault(path, 'expected a group that stands under groups', suggestion('group', subject.name, known.groups));
      return;
    case 'oidc':
      if (!known.issuers.includes(subject.issuer)) {
        const near = nearest(subject.issuer, known.issuers);
        work.fault(
          path,
          'expected an issuer that stands under auth.oidc',
          near && `oidc:${near}:${subject.claim}=${subject.value}`,
        );
      }
  }
}

function suggestion(kind: string, name: string, names: readonly string[]): string | undefined {
  const near = nearest(name, names);
  return near && `${kind}:${near}`;
}
