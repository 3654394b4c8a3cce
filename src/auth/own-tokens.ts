import { SignJWT } from 'jose';
import { own, type JsonObject } from '../oci/json.ts';
import type { Clock } from '../system/clock.ts';
import { randomId, type Random } from '../system/random.ts';
import { claimsSignedBy, endOfUse, isAddressedTo, readAccess, readUnproven, textOf } from './jwt.ts';
import { seal, unseal } from './sealed.ts';
import type { KeyRing } from './signing-keys.ts';
import { readSubject } from './subject-text.ts';
import { subjectText } from './subject.ts';
import { createVerified } from './verified.ts';
import type { OwnTokens, Proven } from './ways.ts';

export interface OwnTokensOptions {
  readonly keys: KeyRing;
  readonly clock: Clock;
  readonly random: Random;
  /** `auth.issue.lifetime`, from {@link LIFETIME_SECONDS_MIN} to {@link LIFETIME_SECONDS_MAX}. */
  readonly lifetimeSeconds: number;
}

/** Clients take less for 60 (distribution, "Token Authentication Specification", `expires_in`). */
export const LIFETIME_SECONDS_MIN = 60;
/** What a rule takes back is taken back at once; this is for a key that got about. */
export const LIFETIME_SECONDS_MAX = 3600;

const ISSUER = 'entrepot';
const ALGORITHM = 'HS256';
/** Between the clocks of nodes. The end is the end: clients are told how long a token lives. */
const LEEWAY_SECONDS = 60;

/** Throws RangeError for a lifetime outside the limits. */
export function createOwnTokens({ keys, clock, random, lifetimeSeconds }: OwnTokensOptions): OwnTokens {
  if (!(lifetimeSeconds >= LIFETIME_SECONDS_MIN && lifetimeSeconds <= LIFETIME_SECONDS_MAX))
    throw new RangeError(`tokens live for ${LIFETIME_SECONDS_MIN} to ${LIFETIME_SECONDS_MAX} seconds`);
  const verified = createVerified<{ readonly proven: Proven; readonly audience: string }>(clock);

  async function prove(token: string, audience: string): Promise<Proven | undefined> {
    const id = keyIdOf(token);
    const named = id === undefined ? undefined : await keys.find(id);
    const claims = named && (await claimsSignedBy(named.key, [ALGORITHM], token));
    if (named === undefined || claims === undefined || !isAddressedTo(claims, [audience]) || own(claims, 'iss') !== ISSUER)
      return undefined;
    const rules = {
      now: clock.now(),
      leeway: LEEWAY_SECONDS,
      grace: 0,
      lifetimeMax: LIFETIME_SECONDS_MAX,
      needsNotBefore: true,
    };
    const until = endOfUse(claims, rules);
    const signed = readProven(claims);
    if (until === undefined || signed === undefined) return undefined;
    const sealed = own(claims, 'sealed');
    const credentials = sealed === undefined ? undefined : await unseal(sealed, named.key);
    const proven = credentials === undefined ? signed : { ...signed, identity: { ...signed.identity, credentials } };
    verified.put(token, { proven, audience }, until);
    return proven;
  }

  return {
    async isOne(token) {
      const id = keyIdOf(token);
      return id !== undefined && (await keys.find(id)) !== undefined;
    },
    async verify(token, audience) {
      const known = verified.get(token);
      if (known === undefined) return prove(token, audience);
      return known.audience === audience ? known.proven : undefined;
    },
    async issue({ subject, fingerprint, scopes, audience, credentials }) {
      const { id, key } = await keys.current();
      const now = Math.floor(clock.now() / 1000);
      const claims = {
        iss: ISSUER,
        sub: subjectText(subject),
        aud: audience,
        exp: now + lifetimeSeconds,
        nbf: now,
        iat: now,
        jti: randomId(random),
        access: scopes,
        subject,
        ...(fingerprint === undefined ? {} : { fingerprint }),
        ...(credentials === undefined ? {} : { sealed: await seal(credentials, key) }),
      };
      const token = await new SignJWT(claims).setProtectedHeader({ alg: ALGORITHM, typ: 'JWT', kid: id }).sign(key);
      return { token, expiresIn: lifetimeSeconds, issuedAt: now * 1000 };
    },
  };
}

function keyIdOf(token: string): string | undefined {
  const header = readUnproven(token)?.header;
  return header !== undefined && own(header, 'alg') === ALGORITHM ? textOf(header, 'kid') : undefined;
}

/** Whatever is not as {@link createOwnTokens} writes it was written by somebody else with our key: nobody should have. */
function readProven(claims: JsonObject): Proven | undefined {
  const [subject, scopes, fingerprint] = [
    readSubject(own(claims, 'subject')),
    readAccess(own(claims, 'access')),
    own(claims, 'fingerprint'),
  ];
  if (subject === undefined || scopes === undefined || textOf(claims, 'jti') === undefined) return undefined;
  if (own(claims, 'sub') !== subjectText(subject)) return undefined;
  if (fingerprint !== undefined && typeof fingerprint !== 'string') return undefined;
  return { identity: { subject, scopes }, fingerprint };
}
