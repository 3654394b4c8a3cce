import type { AttemptsOf } from '../auth/attempts.ts';
import { createAuth, type Auth } from '../auth/auth.ts';
import type { AuthEvent } from '../auth/events.ts';
import type { HtpasswdEvent } from '../auth/htpasswd.ts';
import { NO_WAYS } from '../auth/identify.ts';
import type { FetchJson } from '../auth/oidc.ts';
import type { MachineTokens } from '../auth/ways.ts';
import type { Config } from '../config/config.ts';
import type { Records } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import type { Random } from '../system/random.ts';
import { accessOf } from './access.ts';
import type { SigningIn } from './signing-in.ts';

export interface AuthenticationParts {
  readonly system: { readonly clock: Clock; readonly disk: Disk; readonly random: Random };
  readonly records: Records;
  readonly machineTokens: MachineTokens;
  /** Documents of the issuers of `auth.oidc`. */
  readonly fetchJson: FetchJson;
  readonly report: (event: AuthEvent | HtpasswdEvent) => void;
  /** Who counts wrong passwords; default: this process. */
  readonly attempts?: AttemptsOf;
}

/** Who are you, may you, as one configuration after the other says. What was proved, and who was wrong too often, carries over. */
export interface Authentication {
  /** Rejects with what is wrong with the files that the configuration names; what was before stays in force then. */
  authOf(config: Config): Promise<Auth>;
}

/** Passwords, tokens and what they need are loaded where somebody may sign in. */
export function createAuthentication(parts: AuthenticationParts): Authentication {
  let signingIn: SigningIn | undefined;
  return {
    async authOf(config) {
      const { auth, names } = config;
      if (auth === undefined) {
        const nobody = { challenge: undefined, ways: NO_WAYS, token: undefined };
        return createAuth({ ...nobody, access: accessOf(config), openHosts: names.open, report: parts.report });
      }
      const { createSigningIn } = await import('./signing-in.ts');
      signingIn ??= createSigningIn(parts);
      return await signingIn.authOf(config, auth);
    },
  };
}
