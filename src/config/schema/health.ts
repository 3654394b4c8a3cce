import { z } from 'zod';
import { count, flag, form, limit, listOf, mapOf, path, secret, target } from '../forms.ts';
import { Secret } from '../secret.ts';
import { headerName } from './http.ts';
import { parseUrl } from '../../oci/url.ts';

const interval = () => limit().prefault('10s').describe('How often it is checked.');
const threshold = () => count(1, 1_000_000).prefault('1').describe('Failures in a row before it counts.');
const timeout = () => limit().prefault('3s').describe('How long a check may take.');

const storagedriver = z.strictObject({
  enabled: flag().prefault('false').describe('Checks that the storage can be written.'),
  interval: interval(),
  threshold: count(1, 1_000_000).prefault('3').describe('Failures in a row before it counts.'),
});

const file = z.strictObject({
  file: path().describe('Unhealthy while this file exists.'),
  interval: interval(),
  threshold: threshold(),
});

/** May hold a password or a token, and is then not shown. */
export const hiddenUrl = () =>
  form('hidden URL', 'a URL that begins with http:// or https://', (written) =>
    /^https?:\/\/[^/@\s]+/.test(written) && parseUrl(written) !== undefined ? new Secret(written) : undefined,
  );

const web = z.strictObject({
  uri: hiddenUrl().describe('Asked with HEAD.'),
  headers: mapOf(listOf(secret()), headerName).prefault({}).describe('Sent with it.'),
  statuscode: count(100, 599).prefault('200').describe('The status that is healthy.'),
  timeout: timeout(),
  interval: interval(),
  threshold: threshold(),
});

const tcp = z.strictObject({
  addr: target().describe('Connected to.'),
  timeout: timeout(),
  interval: interval(),
  threshold: threshold(),
});

export const health = z.strictObject({
  storagedriver: storagedriver.prefault({}),
  file: z.array(file).prefault([]),
  http: z.array(web).prefault([]),
  tcp: z.array(tcp).prefault([]),
});
