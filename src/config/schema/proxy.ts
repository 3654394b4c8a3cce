import { z } from 'zod';
import { path, secret, text, webUrl } from '../forms.ts';

export const proxy = z.strictObject({
  remoteurl: webUrl().optional().describe('The registry to mirror, `https://registry-1.docker.io`.'),
  username: text().optional().describe('Account that pays for the rate limit; it unlocks nothing private.'),
  password: secret().optional(),
  passwordfile: path().optional().describe('File that holds the password.'),
});
