import { z } from 'zod';
import { bandwidth, count, flag, form, host, limit, listOf, mapOf, path, rate, webUrl, word } from '../forms.ts';
import { Secret } from '../secret.ts';
import { accountKeys } from './account.ts';
import { headerName, headerValue } from './http.ts';
import { parseUrl } from '../../oci/url.ts';

/** A metric label, and a name in chains. */
const upstreamName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, { error: 'expected a name of letters, digits, dots and dashes' });

/** Hidden when shown: it often is an Authorization. */
export const hiddenValue = () =>
  headerValue()
    .transform((written) => new Secret(written))
    .meta({ form: 'secret' });

/** `none`, or a proxy's URL, which may hold user and password. */
const wayOut = () =>
  form(
    'URL or none',
    'none, or the URL of a forward proxy such as http://proxy.example.test:3128',
    (written): 'none' | Secret | undefined => {
      if (written === 'none') return 'none';
      return /^https?:\/\/[^/?#\s]+\/?$/.test(written) && parseUrl(written) !== undefined ? new Secret(written) : undefined;
    },
  );

const tls = z.strictObject({
  ca: path().optional().describe("Certificate authorities beside the system's, PEM."),
  certificate: path().optional().describe('Client certificate, PEM.'),
  key: path().optional().describe('Its key, PEM.'),
  skipverify: flag()
    .prefault('false')
    .describe('Believes any certificate. Content is verified by digest all the same; tags and credentials are not safe.'),
});

const timeout = z.strictObject({
  connect: limit().prefault('3s').describe('To connect, TLS included.'),
  headers: limit().prefault('10s').describe("From the request to the answer's headers."),
  stall: limit()
    .prefault('15s')
    .describe('Without a byte of a body; four times as long at less than 16KiB a second counts as much.'),
});

const SEGMENT = /^(?:[a-z0-9]+(?:[._-]+[a-z0-9]+)*|\{registry\})$/;

const repositoryPath = () =>
  form(
    'repository path',
    'the beginning of a repository, such as hub-proxy or mirror/{registry}',
    (written) => (written.split('/').every((segment) => SEGMENT.test(segment)) ? written : undefined),
    (written) => written.toLowerCase().replaceAll(/^\/+|\/+$/g, ''),
  );

export const upstream = z.strictObject({
  url: webUrl().describe('Its address, without /v2.'),
  path: repositoryPath()
    .optional()
    .describe(
      'Stands before every repository there, as Harbor and Artifactory want it. A segment `{registry}` becomes the registry asked for, so that one upstream serves them all.',
    ),
  ...accountKeys,
  use: word('quota', 'all')
    .optional()
    .describe(
      '`quota`: the account pays for the rate limit and unlocks nothing; `all`: it also unlocks what it may see, for whoever may pull it by the rules of `access`. Without it `all` where those let nobody pull unnamed on any route that leads here, else `quota`.',
    ),
  headers: mapOf(hiddenValue(), headerName).prefault({}).describe('Sent to the upstream itself with every request.'),
  tls: tls.optional(),
  timeout: timeout.prefault({}),
  concurrency: count(1, 10_000)
    .prefault('32')
    .describe('Requests at once; the others wait, each repository in its turn, manifests before layers.'),
  rate: rate().optional().describe('Requests per second, or `600/m`, `5000/h`; who would wait over 5 s is asked elsewhere.'),
  bandwidth: bandwidth().optional().describe('Bytes per second, of all its transfers together, such as `50MB`.'),
  check: limit(1000)
    .optional()
    .describe('Asks for its `/v2/` this often, so that it is found down before a client needs it; off without.'),
  weight: count(1, 1000).prefault('1').describe('Its share of what is asked where the balance of a route is `weighted`.'),
  tokenhosts: listOf(host()).prefault([]).describe('Hosts to which its realm may point beyond its own.'),
  redirecthosts: listOf(host())
    .prefault([])
    .describe('Hosts to which its redirects may lead although their addresses are private.'),
  ns: flag().prefault('false').describe('Sends `?ns=REGISTRY`, as another mirror understands it.'),
  proxy: wayOut()
    .optional()
    .describe('The way out: a forward proxy, or `none`; otherwise as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.'),
});

export const upstreams = mapOf(upstream, upstreamName)
  .prefault({})
  .describe('Needed only for another address, another account, or options; `origin` is built in.');
