import { z } from 'zod';
import { allowed, form, listOf, mapOf, registry } from '../forms.ts';
import { parseHost } from '../address.ts';
import { parseRegistry } from '../../oci/registry.ts';
import { accountKeys } from './account.ts';

/** A registry, or `*`: the labels before the suffix of the Host name it. */
const hostMeaning = () =>
  form('registry or *', 'a registry such as ghcr.io, or * for the labels before the suffix', (written) =>
    written === '*' ? '*' : parseRegistry(written),
  );

/** What may stand as the first segment of a repository (OCI distribution-spec, "Pulling manifests"), in front of a registry's own names. */
const segment = z.string().regex(/^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/, { error: 'expected a first segment such as hub-proxy' });

const anyRegistry = z
  .string()
  .refine((written) => parseRegistry(written) !== undefined, { error: 'expected a registry such as registry.hub.docker.com' });

const anyHost = z.string().refine((written) => isHost(written), {
  error: 'expected a Host such as ghcr.mirror.test or *.mirror.test',
});

/** As clients send it, with a port or for any. */
const openHost = () =>
  form('host', 'a Host such as mirror.example.test, with or without a port', (written) =>
    parseHost(written) === undefined ? undefined : written.toLowerCase(),
  );

/** A Host header as clients send it, or `*.` and a suffix. */
function isHost(written: string): boolean {
  return parseHost(written.replace(/^\*\./, '')) !== undefined;
}

export const names = z.strictObject({
  default: registry().optional().describe('The registry of a name that names none; `docker.io` unless `proxy` names another.'),
  self: listOf(registry()).prefault([]).describe("This server's own names."),
  hosts: mapOf(hostMeaning(), anyHost)
    .prefault({})
    .describe('Host → registry; under `*.domain`, `*` takes the registry from the labels before it.'),
  prefixes: mapOf(registry(), segment).prefault({}).describe('A first segment that stands for a registry.'),
  aliases: mapOf(registry(), anyRegistry)
    .prefault({})
    .describe('Other names of a registry; `index.docker.io` and `registry-1.docker.io` are built in.'),
  open: listOf(openHost())
    .prefault([])
    .describe('Hosts on which `/v2/` is 200 and nobody is ever challenged; what `anyone` may not have is 404 there.'),
  allow: listOf(allowed())
    .prefault([])
    .describe('Private hosts, addresses and blocks that `origin` may dial all the same, on any port.'),
});

const credential = z.strictObject(accountKeys);

/** Other names of docker.io: an account under them would never be found. */
const HUB_HOSTS = new Set(['index.docker.io', 'registry-1.docker.io']);

/** A registry, or a registry and the beginning of a repository. */
const prefix = z
  .string()
  .refine((written) => isPrefix(written), { error: 'expected a registry or a part of it, such as docker.io or ghcr.io/acme' });

function isPrefix(written: string): boolean {
  const [first = '', ...segments] = written.split('/');
  return (
    parseRegistry(first) === first &&
    !HUB_HOSTS.has(first) &&
    segments.every((part) => /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/.test(part))
  );
}

export const credentials = mapOf(credential, prefix)
  .prefault({})
  .describe('Accounts for `origin`, by registry or a part of it; the longest that fits wins.');
