import { parseAddress, parseHost, parseTarget, parseWebUrl, isNetwork } from '../../../src/config/address.ts';
import { ConfigError } from '../../../src/config/fault.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { checkPattern, checkPinPattern, checkTagPattern, covers, overlaps } from '../../../src/config/pattern.ts';
import { guessSubject, parseSubjectPattern } from '../../../src/config/subject-pattern.ts';
import {
  guessDuration,
  guessSize,
  parseCount,
  parseDuration,
  parseFlag,
  parsePercentage,
  parseRate,
  parseSize,
} from '../../../src/config/units.ts';
import { subjectNamed } from '../../../src/auth/explain.ts';
import { splitPin } from '../../../src/evict/pins.ts';
import { createAccess } from '../../../src/auth/access.ts';
import { parseListenAddress } from '../../../src/http/address.ts';
import { demand, utf8Of, type Parser } from '../parser.ts';

/** A whole file; whoever writes it is trusted, but it may be half written when it is read. */
const file: Parser = {
  name: 'configuration',
  covers: ['loadConfig', 'parseTree', 'interpolate', 'respell', 'settle'],
  words: [
    ...'version: http: addr: host: storage: filesystem: rootdirectory: cache: maxsize: names: default: self: hosts: upstreams:'.split(
      ' ',
    ),
    ...'routes: match: auth: htpasswd: path: access: groups: pull: notifications: endpoints: url: tls: certificate:'.split(' '),
    ...[
      '\n',
      '\n  ',
      '\n    ',
      '\n- ',
      ': ',
      '- ',
      '*a',
      '&a ',
      '<<: ',
      '{',
      '}',
      '[',
      ']',
      '|',
      '>',
      '!!',
      '"',
      "'",
      '${A}',
      '${A:-b}',
    ],
    ...['docker.io/**', 'well-known', '[origin]', ':5000', '5m', '50GiB', '\t', '---\n', '# ', '?', 'true', '0x10', '~'],
  ],
  longest: 32 * 1024,
  // YAML, schema and all: a few ms for a whole file, more for one that is full of faults.
  msMax: 1000,
  async read(input) {
    const text = utf8Of(input);
    try {
      const { warnings, mode } = await loadConfig({
        argument: '/c.yml',
        env: { A: 'a' },
        directory: '/',
        readFile: async (path) => (path === '/c.yml' ? text : undefined),
      });
      return `${mode} ${Math.min(warnings.length, 3)}`;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const { line, column, expected } of error.faults)
        demand(line >= 0 && column >= 0 && expected !== '', 'a fault has a place and says what was expected');
      return `${Math.min(error.faults.length, 5)} ${error.faults[0]?.expected.replaceAll(/".*?"/g, '').slice(0, 40)}`;
    }
  },
};

/** Two of them, one a line. */
const pattern: Parser = {
  name: 'pattern',
  covers: ['checkPattern', 'checkPinPattern', 'checkTagPattern', 'parseSubjectPattern', 'subjectNamed', 'splitPin'],
  words: [
    ...'docker.io/ library/ * ** */* /** well-known ! {a,b} [a] ? : v* user: group: token: oidc:github:a=b anyone signed-in'.split(
      ' ',
    ),
    '\n',
  ],
  longest: 4096,
  read(input) {
    const [one = '', other = ''] = input.split('\n', 2);
    const faults = [checkPattern(one), checkTagPattern(one), checkPinPattern(one)];
    if (faults[0]?.suggestion !== undefined)
      demand(checkPattern(faults[0].suggestion) === undefined, 'what is suggested is sound');
    covers(one, other);
    overlaps(one, other);
    splitPin(one);
    const who = parseSubjectPattern(one);
    const guess = guessSubject(one);
    if (guess !== undefined) demand(parseSubjectPattern(guess) !== undefined, 'whom we guess there is');
    const subject = subjectNamed(other);
    if (faults[0] === undefined && one !== 'well-known' && who === undefined) {
      const allow = { pull: [{ kind: 'anyone' }], push: [], delete: [] } as const;
      const access = createAccess({ rules: [{ match: [one], allow, at: 'c:1' }], groups: new Map(), signsIn: true });
      access.decide({ kind: 'anyone' }, 'pull', other);
    }
    return [...faults.map((fault) => fault === undefined), who?.kind, subject?.kind].join(' ');
  },
};

const units: Parser = {
  name: 'units',
  covers: ['parseDuration', 'parseSize', 'parsePercentage', 'parseRate', 'parseCount', 'parseFlag'],
  words: '1 5m 1h30m .5 ms s d ns 50GiB 500MB b % /s /m yes off 1e3 -'.split(' '),
  longest: 4096,
  read(input) {
    const numbers = [parseDuration, parseSize, parsePercentage, parseRate, parseCount].map((parse) => parse(input));
    for (const number of numbers) demand(number === undefined || (Number.isFinite(number) && number >= 0), 'a number is one');
    guessDuration(input);
    guessSize(input);
    return [...numbers.map((number) => number === undefined), parseFlag(input)].join(' ');
  },
};

/** Of listeners, of upstreams, of receivers of notifications, of proxies. */
const address: Parser = {
  name: 'address',
  covers: ['parseAddress', 'parseTarget', 'parseHost', 'parseWebUrl', 'isNetwork', 'parseListenAddress'],
  words: [
    ':5000',
    'localhost',
    '127.0.0.1',
    '[::1]',
    ':0',
    '/8',
    'fd00::',
    'https://',
    'http://',
    '@',
    '?a=b',
    '#',
    '\\',
    'a-',
    '_',
    '.',
  ],
  longest: 4096,
  read(input) {
    const [own, dialled, host, web] = [parseAddress(input), parseTarget(input, 80), parseHost(input), parseWebUrl(input)];
    for (const one of [own, dialled]) demand(one === undefined || (one.port >= 0 && one.port <= 65_535), 'a port is one');
    if (own !== undefined) parseListenAddress(input);
    if (web !== undefined) {
      const url = new URL(web);
      demand(/^https?:$/.test(url.protocol) && url.username === '' && url.search === '' && url.hash === '', 'an address alone');
      demand(parseWebUrl(web) === web, 'it is read as it is kept');
    }
    return [own, dialled, host, web].map((one) => one === undefined).join(' ') + String(isNetwork(input));
  },
};

export const configuration: readonly Parser[] = [file, pattern, units, address];
