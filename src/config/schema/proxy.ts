import { z } from 'zod';
import { path, secret, text, ttl, webUrl } from '../forms.ts';

export const proxy = z.strictObject({
  remoteurl: webUrl().optional().describe('The registry to mirror, `https://registry-1.docker.io`.'),
  username: text().optional().describe('Account that pays for the rate limit; it unlocks nothing private.'),
  password: secret().optional(),
  ttl: ttl()
    .optional()
    .describe(
      'The `maxage` of the one route: what nobody has used for so long is evicted. 0 is never, as in the official registry; unless written it is never too, where the official registry takes 168h since the fetch.',
    ),
  passwordfile: path().optional().describe('File that holds the password.'),
});
