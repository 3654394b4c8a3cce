import { RegistryError } from '../../../src/oci/errors.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import { formatInstant, isLikeInstant, parseInstant } from '../../../src/oci/instant.ts';
import { parseReference, parseTag, referenceText, referrersTag } from '../../../src/oci/reference.ts';
import { parseRegistry } from '../../../src/oci/registry.ts';
import { parseRepository } from '../../../src/oci/repository.ts';
import { formatScope, parseScope, readScopes, SCOPES_MAX } from '../../../src/oci/scope.ts';
import { readPage } from '../../../src/pull/lists/paging.ts';
import { linkTo } from '../../../src/pull/lists/paging.ts';
import { createNameParser, createNameShower, type NameOptions, type Target } from '../../../src/pull/name.ts';
import { demand, orRefused, type Parser } from '../parser.ts';

const HEX = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const DIGEST = `sha256:${HEX}`;
/** Headers are 16 KiB in all, and so is the request line. */
const LONGEST = 16_384;

const OPTIONS: NameOptions = {
  default: 'docker.io',
  self: ['registry.acme.test'],
  hosts: new Map([
    ['ghcr.mirror.test', 'ghcr.io'],
    ['*.mirror.test', '*'],
    ['*.hub.test', 'docker.io'],
  ]),
  prefixes: new Map([['hub-proxy', 'docker.io']]),
  aliases: new Map([['registry.hub.docker.com', 'docker.io']]),
  pathPrefix: '',
};
const readers = {
  open: createNameParser(OPTIONS),
  prefixed: createNameParser({ ...OPTIONS, pathPrefix: '/base' }),
  only: createNameParser({ ...OPTIONS, only: 'docker.io' }),
  plain: createNameParser({ ...OPTIONS, plain: 'local' }),
};
const show = createNameShower(OPTIONS);

const SPELLINGS = '/v2/ /manifests/ /blobs/ /tags/list /referrers/ /blobs/uploads/ _catalog ?ns= &ns= ?n= asof/'.split(' ');
const HOSTS = 'docker.io ghcr.io localhost:5000 library ubuntu hub-proxy [::1]:1 127.0.0.1 0x7f.1 2026-11-01 %3A %2f ..'.split(
  ' ',
);

/** The first line is the Host. */
const target: Parser = {
  name: 'target',
  covers: ['splitTarget', 'createNameParser', 'createNameShower'],
  words: [...SPELLINGS, ...HOSTS, DIGEST, 'https://'],
  longest: LONGEST,
  read(input) {
    const [host = '', text = ''] = input.split('\n', 2);
    return Object.entries(readers)
      .map(([name, read]) => {
        const outcome = orRefused(() => read(text, host === '' ? undefined : host), [RegistryError]);
        if ('refused' in outcome) return outcome.refused;
        checkTarget(outcome.found);
        return `${name} ${outcome.found.kind} ${shapeOfTarget(outcome.found)}`;
      })
      .join(', ');
  },
};

function checkTarget(found: Target): void {
  if (found.kind === 'base' || found.kind === 'catalog') return;
  const { registry, repository, shown, base } = found.name;
  demand(parseRepository(repository) === repository, 'a repository keeps to the grammar');
  demand(registry === 'local' || parseRegistry(registry) === registry, 'a registry is a host');
  demand(!/(^|\/)\.\.?(\/|$)/.test(repository), 'no segment of a path leads up');
  demand(/^[\x21-\x7e]*$/.test(shown + base), 'what goes into headers is plain ASCII');
  if (found.kind === 'manifest') demand(parseReference(referenceText(found.reference)) !== undefined, 'a reference is one');
  if (found.kind === 'blob' || found.kind === 'referrers') demand(parseDigest(found.digest) !== undefined, 'a digest is one');
  const again = show(undefined)(`${registry}/${repository}`);
  if (again !== undefined) demand(again.endsWith(repository.replace(/^library\//, '')), 'a name is shown as itself');
}

function shapeOfTarget(found: Target): string {
  if (found.kind === 'base' || found.kind === 'catalog') return '';
  const { ns, asof, registry } = found.name;
  return [ns === undefined ? '' : 'ns', asof === undefined ? '' : 'asof', registry.length > 12 ? 'long' : registry].join(' ');
}

const registry: Parser = {
  name: 'registry',
  covers: ['parseRegistry'],
  words: 'docker.io localhost :5000 :443 :0 :65536 [::1] [fe80::1] 127.0.0.1 0x7f.1 xn--a 1.1'.split(' '),
  longest: LONGEST,
  read(input) {
    const found = parseRegistry(input);
    if (found === undefined) return 'none';
    const url = new URL(`https://${found}/`);
    demand(parseRegistry(found) === found, 'what was read is read as itself');
    demand(
      [url.username, url.password, url.search, url.hash].every((part) => part === ''),
      'it is a host and nothing more',
    );
    demand(url.hostname === found.replace(/:\d+$/, ''), 'the name that guards see is the name that is dialled');
    return `${found.startsWith('[') ? 'address' : 'name'} ${/:\d+$/.test(found) ? 'port' : ''}`;
  },
};

const GRAMMAR = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;

const reference: Parser = {
  name: 'reference',
  covers: ['parseReference', 'parseTag', 'parseDigest', 'parseRepository'],
  words: ['sha256:', 'sha512:', HEX, 'latest', 'v1.2', 'library/', '__', '---'],
  longest: LONGEST,
  read(input) {
    const [found, tag, digest, repository] = [
      parseReference(input),
      parseTag(input),
      parseDigest(input),
      parseRepository(input),
    ];
    if (found !== undefined) demand(referenceText(found) === input, 'a reference stands as it was written');
    demand((found?.kind === 'tag') === (tag !== undefined), 'a tag is a reference');
    demand((found?.kind === 'digest') === (digest !== undefined), 'a digest is a reference');
    if (digest !== undefined) demand(parseTag(referrersTag(digest)) !== undefined, 'its referrers have a tag');
    // The plain pattern takes for ever where ours does not.
    if (input.length <= 40) demand((repository === input) === GRAMMAR.test(input), 'a repository is what the grammar says');
    return `${found?.kind ?? 'none'} ${repository === undefined ? '' : 'repository'}`;
  },
};

/** Each line is a parameter. */
const scope: Parser = {
  name: 'scope',
  covers: ['parseScope', 'readScopes'],
  words: 'repository: registry: repository(plugin): :pull :push,pull :* :delete library/a localhost:5000/ catalog'.split(' '),
  longest: LONGEST,
  read(input) {
    const asked = readScopes(input.split('\n'));
    for (const one of asked?.scopes ?? []) {
      const again = parseScope(formatScope(one));
      demand(JSON.stringify(again) === JSON.stringify(one), 'a scope is read as it is written');
      demand(new Set(one.actions).size === one.actions.length, 'each action stands there once');
    }
    demand((asked?.scopes.length ?? 0) + (asked?.unread ?? 0) <= SCOPES_MAX, 'no more than there may be');
    return asked === undefined ? 'too many' : `${Math.min(asked.scopes.length, 3)} ${Math.min(asked.unread, 2)}`;
  },
};

const page: Parser = {
  name: 'page',
  covers: ['readPage'],
  words: 'n= last= &n= &last= n=1000 %2F %00 ns= + ='.split(' '),
  longest: LONGEST,
  read(input) {
    const outcome = orRefused(() => readPage(new URLSearchParams(input)), [RegistryError]);
    if ('refused' in outcome) return outcome.refused;
    const { n, last } = outcome.found;
    demand(n === undefined || (Number.isInteger(n) && n >= 0 && n <= 1000), 'a page has 0 to 1000 entries');
    demand(/^<[\x21-\x7e]*>; rel="next"$/.test(linkTo('/v2/a/tags/list', { last: last ?? '' }, last)), 'a link fits a header');
    return `${n === undefined ? '' : 'n'} ${last === undefined ? '' : 'last'}`;
  },
};

const instant: Parser = {
  name: 'instant',
  covers: ['parseInstant', 'isLikeInstant'],
  words: '2026-11-01 T12:00:00Z 20261101 t123000z .123 -02-30 24:00 0000 9999'.split(' '),
  longest: LONGEST,
  read(input) {
    const at = parseInstant(input);
    const isLike = isLikeInstant(input);
    if (at === undefined) return String(isLike);
    demand(isLike, 'a date looks like one');
    demand(parseInstant(formatInstant(at)) === at, 'a date is read as it is written');
    return `date ${at % 86_400_000 === 0}`;
  },
};

export const names: readonly Parser[] = [target, registry, reference, scope, page, instant];
