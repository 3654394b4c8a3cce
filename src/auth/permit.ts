import { RegistryError } from '../oci/errors.ts';
import { noSuchName } from '../oci/no-such-name.ts';
import type { Access, Action } from './access.ts';
import type { Asking, Auth, Named } from './auth.ts';
import type { ChallengeKind } from './challenge.ts';
import type { DeniedEvent, ReportAuth } from './events.ts';
import { ASKS_WHO, unauthorized } from './identify.ts';
import { subjectText, type Identity, type Scope } from './subject.ts';

export interface PermitOptions {
  readonly access: Access;
  /** By the field `Host`; `undefined`: nobody is asked there who they are. */
  readonly challengeOf: (host: string | undefined) => ChallengeKind | undefined;
  readonly report: ReportAuth;
}

/** Whether somebody may; see {@link Auth}. */
export function createPermit({ access, challengeOf, report }: PermitOptions): Pick<Auth, 'permit' | 'permitList'> {
  return {
    permit(asking, identity, action, named) {
      const challenge = challengeOf(asking.host);
      if (!access.decide(identity.subject, action, named.holder).allowed) {
        const canSignIn = challenge !== undefined && identity.subject.kind === 'anyone';
        report(denied(asking, identity, { action, reason: canSignIn ? 'unauthenticated' : 'access' }, named));
        if (!canSignIn) throw noSuchName(named.holder);
        throw unauthorized(ASKS_WHO, challenge, asking, scopeOf(action, named));
      }
      if (isWithinScope(identity, action, named)) return;
      report(denied(asking, identity, { action, reason: 'scope' }, named));
      throw tooNarrow(challenge, asking, scopeOf(action, named));
    },
    permitList(asking, identity) {
      const { scopes } = identity;
      if (scopes === undefined || scopes.some((scope) => scope.type === CATALOG.type && scope.name === CATALOG.name)) return;
      report(denied(asking, identity, { action: 'pull', reason: 'scope' }));
      throw tooNarrow(challengeOf(asking.host), asking, CATALOG);
    },
  };
}

function denied(
  { requestId, client }: Asking,
  { subject }: Identity,
  what: Pick<DeniedEvent, 'action' | 'reason'>,
  named?: Named,
): DeniedEvent {
  const [holder, reference] = [named?.holder, named?.reference];
  return { kind: 'denied', ...what, requestId, client, subject: subjectText(subject), holder, reference };
}

/** distribution, "Token Scope Documentation": what lists all repositories. */
const CATALOG: Scope = { type: 'registry', name: 'catalog', actions: ['*'] };

/** What a client should ask the token server for: whoever pushes also asks for what is there. */
function scopeOf(action: Action, { spelt }: Named): Scope {
  return { type: 'repository', name: spelt, actions: action === 'push' ? ['pull', 'push'] : [action] };
}

/** 401 for a pull, with the way to do better. */
export function whoFor(challenge: ChallengeKind, asking: Asking, named: Named, message: string): RegistryError {
  const { ns } = named;
  // The scope that a client asks for cannot say that.
  const isSpoken = challenge.kind === 'own' && ns !== undefined;
  const said = isSpoken ? { ...challenge, path: `${challenge.path}?ns=${encodeURIComponent(ns)}` } : challenge;
  return unauthorized(message, said, asking, scopeOf('pull', named));
}

function tooNarrow(challenge: ChallengeKind | undefined, asking: Parameters<Auth['permit']>[0], scope: Scope): RegistryError {
  const message = 'the token was issued for something else';
  if (challenge === undefined) return new RegistryError('UNAUTHORIZED', message);
  return unauthorized(message, challenge, asking, scope, 'insufficient_scope');
}

/** Whether what was sent as proof is for this: a password is for everything, a token for what it was asked for. */
export function isWithinScope({ scopes }: Identity, action: Action, { spelt }: Named): boolean {
  return (
    scopes === undefined ||
    scopes.some(
      ({ type, name, actions }) =>
        type === 'repository' && name === spelt && (actions.includes(action) || actions.includes('*')),
    )
  );
}
