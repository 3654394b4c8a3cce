import { z } from 'zod';
import { form, listOf, path, text } from '../forms.ts';
import { parseUrl } from '../../oci/url.ts';

const identity = z.strictObject({
  issuer: form('URL', 'the URL of an issuer, as it stands in certificates', (written) =>
    /^https?:\/\/[^\s?#]+$/.test(written) && parseUrl(written) !== undefined ? written : undefined,
  ).describe(
    'Who vouches for whoever signs, as certificates have it: `https://token.actions.githubusercontent.com`, `https://accounts.google.com`.',
  ),
  subject: text().describe(
    'Who signs, an e-mail address or a URI; `*` is any text: `https://github.com/acme/*/.github/workflows/release.yml@refs/tags/*`.',
  ),
});

const cosign = z.strictObject({
  keys: listOf(path())
    .prefault([])
    .describe(
      'Content is served where it carries a signature of cosign by one of these public keys (files, PEM, read again when they change) or by one of the `identities`, and is refused with 403 elsewhere. A signature on an index holds for all that it lists. `signed: {}` on a route asks for none where `defaults` do.',
    ),
  identities: z.array(identity).prefault([]).describe('Who may sign with a certificate instead (keyless).'),
  trustedroot: path()
    .optional()
    .describe(
      "Sigstore's `trusted_root.json`: the authorities and logs that `identities` are believed by. Nobody is asked for it, nor for anything else.",
    ),
});

/** Whose signature content has to carry. */
export const signed = z.strictObject({ cosign: cosign.optional() });
