import { z } from 'zod';
import { SIGNING_ALGORITHMS } from '../../oci/signing-algorithms.ts';
import { flag, form, limit, listOf, mapOf, path, pattern, subject, text } from '../forms.ts';
import { parseUrl } from '../../oci/url.ts';

/** What stands in the quotes of a challenge; `=` would be read as the end of a key by the strictest clients (protocol.md 2.1). */
const quotable = (what: string) =>
  form('text', `${what} without quotes, backslashes and control characters`, (written) =>
    /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(written) ? written : undefined,
  );

const htpasswd = z.strictObject({
  realm: quotable('a realm').prefault('Entrepot').describe('What clients are shown when they are asked for a password.'),
  path: path().describe(
    'The file with a line for each user, `user:bcrypt hash`, as `entrepot htpasswd USER` prints it; read again when it changes.',
  ),
});

/** A token lives at least as long as clients believe (protocol.md 2.2), and no longer than a rule may be out of force. */
const issue = z.strictObject({
  lifetime: form('duration', 'a duration from 1m to 1h, such as 15m', (written) => {
    const parsed = limit(60_000).safeParse(written);
    return parsed.success && parsed.data <= 3_600_000 ? parsed.data : undefined;
  })
    .prefault('15m')
    .describe('How long a token lasts. What it may is asked of the rules at each request, whatever its age.'),
});

const algorithm = () =>
  form('algorithm', `one of ${SIGNING_ALGORITHMS.join(', ')}`, (written) =>
    SIGNING_ALGORITHMS.find((name) => name === written),
  );

const token = z.strictObject({
  realm: form('URL', 'the URL of the token server', (written) =>
    /^https?:\/\/[^\s"\\=]+$/.test(written) && parseUrl(written) !== undefined ? written : undefined,
  ).describe('Where clients get their tokens.'),
  service: quotable('a name').describe('The audience that tokens have to name.'),
  issuer: text().describe('The issuer that tokens have to name.'),
  rootcertbundle: path().optional().describe('Certificates whose keys sign tokens, or the certificates of such keys; PEM.'),
  jwks: path().optional().describe('Keys that sign tokens, as a JWK set.'),
  signingalgorithms: listOf(algorithm())
    .optional()
    .describe('What tokens may be signed with; without it EdDSA, RS256 to RS512, ES256 to ES512 and PS256 to PS512.'),
  autoredirect: flag()
    .prefault('false')
    .describe('The token server is at this Host, at `autoredirectpath`, and `realm` counts for nothing.'),
  autoredirectpath: form('path', 'a path that begins with /', (written) => (/^\/[\w./-]+$/.test(written) ? written : undefined))
    .prefault('/auth/token')
    .describe('Where it is then.'),
});

const issuerName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, { error: 'expected a name of lower-case letters, digits, - and _' });

const oidc = z.strictObject({
  issuer: form('URL', 'the URL of an issuer, as it stands in its tokens', (written) =>
    /^https?:\/\/[^\s?#]+$/.test(written) && parseUrl(written) !== undefined ? written : undefined,
  ).describe('Whose tokens are taken: the claim `iss`, and where its keys are found (`/.well-known/openid-configuration`).'),
  audience: text().describe('The audience that its tokens have to name.'),
  jwks: path().optional().describe('Its keys, as a JWK set, where it cannot be asked for them.'),
});

/** Who are you. */
export const auth = z.strictObject({
  htpasswd: htpasswd.optional().describe('Users with passwords.'),
  issue: issue.prefault({}).describe('Our own token server at `/token`.'),
  token: token
    .optional()
    .describe("Another token server, as the official registry's `auth.token`; then there is none at `/token`."),
  oidc: mapOf(oidc, issuerName)
    .prefault({})
    .describe(
      'Issuers of sign-in tokens, such as CI systems: `docker login --username oidc --password-stdin` with one of theirs.',
    ),
});

const allowed = (what: string) =>
  listOf(subject())
    .prefault([])
    .describe(
      `Who may ${what}: \`user:\`, \`group:\`, \`token:\`, \`oidc:ISSUER:CLAIM=VALUE\`, \`signed-in\` (any user or machine token), \`anyone\`.`,
    );

const rule = z.strictObject({
  match: listOf(pattern()).describe('Patterns over registry/repository.'),
  pull: allowed('pull'),
  push: allowed('push'),
  delete: allowed('delete'),
});

/** May you. */
export const access = z
  .array(rule)
  .optional()
  .describe(
    'Who may what: the first rule that matches a repository decides alone, and what it does not list is denied, as is what no rule matches. Without it everybody may everything, or where `auth` stands everybody who is signed in.',
  );

const groupName = z
  .string()
  .regex(/^[A-Za-z0-9][\w.-]{0,63}$/, { error: 'expected a name of letters, digits, dots and dashes' });

export const groups = mapOf(listOf(subject()), groupName)
  .prefault({})
  .describe('Names for several who may the same, as `group:NAME` in rules.');
