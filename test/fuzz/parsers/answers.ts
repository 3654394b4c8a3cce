import { chooseChallenge, formatChallenge, parseChallenges } from '../../../src/oci/challenge.ts';
import { formatNextLink, nextLink } from '../../../src/oci/link.ts';
import { parseUrl } from '../../../src/oci/url.ts';
import { JudgeError } from '../../../src/admission/judge.ts';
import { readAnswer } from '../../../src/admission/scanner-answer.ts';
import { lengthOf, take, totalOf } from '../../../src/upstream/answer.ts';
import { isPublicAddress, normalHost } from '../../../src/upstream/guard.ts';
import { isOddAbsence, isReferrersPath } from '../../../src/upstream/oddities.ts';
import { proxyFor } from '../../../src/upstream/proxy.ts';
import { readRateLimit, retryAfterSeconds } from '../../../src/upstream/rate-limit.ts';
import { judgeRealm } from '../../../src/upstream/realm.ts';
import { follow } from '../../../src/upstream/redirects.ts';
import { createTokens } from '../../../src/upstream/tokens.ts';
import type { Transport, TransportRequest, TransportResponse } from '../../../src/upstream/transport.ts';
import { UpstreamError, type UpstreamRequest } from '../../../src/upstream/upstream.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { bytesOf, demand, fieldsOf, orRefused, shapeOfError, type Parser } from '../parser.ts';

/** As much as an upstream may say in all its fields together. */
const LONGEST = 65_536;
const HOME = new URL('https://registry.acme.test/v2/a/blobs/sha256:0');
const NEVER = new AbortController().signal;

function bodyOf(bytes: Uint8Array): TransportResponse['body'] {
  let left: Uint8Array | undefined = bytes;
  return {
    read: async () => {
      const next = left;
      left = undefined;
      return next;
    },
    close: () => undefined,
    discard: () => undefined,
  };
}

function responseOf(status: number, fields: readonly (readonly [string, string])[], url: URL, body = ''): TransportResponse {
  return {
    status,
    url,
    header: (name) => {
      const values = fields.filter(([field]) => field === name).map(([, value]) => value);
      return values.length === 0 ? undefined : values.join(', ');
    },
    body: bodyOf(bytesOf(body)),
  };
}

/** Lines of `WWW-Authenticate`. */
const challenge: Parser = {
  name: 'challenge',
  covers: ['parseChallenges', 'chooseChallenge', 'formatChallenge', 'judgeRealm', 'parseUrl'],
  words: [
    'Bearer ',
    'Basic ',
    'Negotiate ',
    'Digest ',
    'realm=',
    'service=',
    'scope=',
    'error=',
    '"',
    '\\"',
    ',',
    ', ',
    '=',
    'https://auth.acme.test/token',
    'https://auth.acme.test@evil.test/',
    'http://127.0.0.1:1/',
    'https://ACME.test./',
    '\n',
    'https://acme.test.evil.test',
    'https://registry.acme.test',
    '//evil.test',
    'dG9rZW4=',
  ],
  longest: LONGEST,
  read(input) {
    const challenges = parseChallenges(input.split('\n'));
    demand(challenges.length <= 32, 'no more than are looked at');
    for (const { scheme, parameters } of challenges) {
      demand(scheme !== '' && scheme === scheme.toLowerCase(), 'a scheme is one');
      demand(Object.getPrototypeOf(parameters) === null, 'parameters have no prototype');
    }
    const chosen = chooseChallenge(challenges);
    const { realm = '', service = '' } = chosen?.parameters ?? {};
    const again = parseChallenges(formatChallenge({ scheme: 'Bearer', realm, service }));
    demand(again.length === 1 && again[0]?.scheme === 'bearer', 'our own is one, whatever stands in it');
    const verdict = judgeRealm(realm, HOME, []);
    if (verdict.kind === 'credentials') {
      const { hostname, protocol, username } = new URL(realm);
      const isOurs = normalHost(hostname) === 'acme.test' || normalHost(hostname).endsWith('.acme.test');
      demand(protocol === 'https:' && username === '' && isOurs, 'credentials stay at home');
    }
    return `${Math.min(challenges.length, 4)} ${chosen?.scheme} ${verdict.kind}`;
  },
};

const link: Parser = {
  name: 'link',
  covers: ['nextLink', 'formatNextLink'],
  words: [
    '<',
    '>',
    '; ',
    'rel=',
    'rel="next"',
    'rel=next',
    '"',
    ', ',
    'title="<\\""',
    '/v2/a/tags/list?last=x&n=2',
    'prev next',
  ],
  longest: LONGEST,
  read(input) {
    const target = nextLink(input);
    // No target of a request, and no query of ours, is longer.
    const own = formatNextLink(target ?? input.slice(0, 4096));
    demand(/^<[!-;=?-~]*>; rel="next"$/.test(own), 'our own fits into a header');
    demand(nextLink(own) !== undefined || own.length > 16_384, 'and is read as a link');
    if (target === undefined) return 'none';
    demand(input.includes(`<${target}>`) && !target.includes('>'), 'it stands there');
    return target === '' ? 'empty' : 'link';
  },
};

const KINDS = ['manifest', 'blob', 'tags', 'referrers'] as const;

/** What was asked for, the status, and the fields of the answer: `blob 206 5-9`, then a field a line. */
const answer: Parser = {
  name: 'answer',
  covers: ['take', 'totalOf', 'lengthOf', 'readRateLimit', 'retryAfterSeconds', 'isOddAbsence'],
  words: [
    ...'content-range content-length content-type content-encoding docker-content-digest link oci-filters-applied retry-after'
      .split(' ')
      .map((name) => `\n${name}: `),
    ...['\nratelimit-limit: ', '\nratelimit-remaining: ', '\ndocker-ratelimit-source: ', '\ndate: '],
    ...'blob|tags|manifest|206|200|bytes 0-4/5|bytes 5-9/20|bytes */5|bytes 0-0/*|100;w=21600|;w=|gzip|identity'.split('|'),
    ...['Wed, 21 Oct 2026 07:28:00 GMT', '</v2/a/tags/list?n=1>; rel="next"', '<https://evil.test/>; rel="next"', '-1'],
  ],
  longest: LONGEST,
  read(input) {
    const [head = '', ...rest] = input.split('\n');
    const [word, status = '', wanted = ''] = head.split(' ');
    const kind = KINDS.find((one) => one === word) ?? 'blob';
    const [, from, to] = /^(\d{1,9})-(\d{1,9})?$/.exec(wanted) ?? [];
    const range =
      from === undefined ? {} : { range: { from: Number(from), ...(to === undefined ? {} : { to: Number(to) + 1 }) } };
    const request: UpstreamRequest = {
      kind,
      method: 'GET',
      registry: 'registry.acme.test',
      repository: 'a',
      reference: '',
      ...(kind === 'blob' ? range : {}),
    };
    const url = new URL(kind === 'tags' ? '/v2/a/tags/list' : HOME, HOME);
    const response = responseOf(status === '206' ? 206 : 200, fieldsOf(rest.join('\n')), url);
    const limit = readRateLimit(response.header);
    demand(limit === undefined || (limit.limit >= 0 && limit.windowSeconds > 0), 'a budget is a number over a time');
    const after = retryAfterSeconds(response.header, 0);
    demand(after === undefined || (Number.isInteger(after) && after >= 0 && after <= 86_400), 'nobody waits longer than a day');
    const [length, total] = [lengthOf(response), totalOf(response)];
    for (const number of [length, total]) demand(number === undefined || Number.isSafeInteger(number), 'lengths are numbers');
    isOddAbsence(response);
    const outcome = orRefused(() => take('hub', request, response), [UpstreamError]);
    const more = `${limit === undefined} ${after === undefined}`;
    if ('refused' in outcome) return `${outcome.refused} ${more}`;
    const { size, digest, mediaType, next, from: first } = outcome.found;
    demand(first === (request.range?.from ?? 0) || status !== '206', 'a part begins where it was asked for');
    demand(size === undefined || (Number.isSafeInteger(size) && size >= 0), 'a size is one');
    return [first > 0, size === undefined, digest === undefined, mediaType === undefined, next === undefined, more].join(' ');
  },
};

/** Locations, one a line: where each question is led. */
const redirect: Parser = {
  name: 'redirect',
  covers: ['follow', 'isReferrersPath', 'isPublicAddress'],
  words: [
    'https://',
    'http://',
    '//',
    'cdn.acme.test',
    'registry.acme.test',
    ':443',
    ':444',
    '@',
    '\\',
    '/v2/a',
    '?sig=1',
    '#x',
    '\n',
    'javascript:',
    'file:///',
    'data:',
    '127.0.0.1',
    '[::1]',
    '2130706433',
    '..',
    '%2e%2e',
    'xn--',
    '	',
  ],
  longest: LONGEST,
  async read(input) {
    const locations = input.split('\n');
    const asked: TransportRequest[] = [];
    const transport: Transport = {
      async send(request) {
        asked.push(request);
        const location = locations[asked.length - 1];
        return responseOf(
          location === undefined ? 200 : 307,
          location === undefined ? [] : [['location', location]],
          request.url,
        );
      },
      close: async () => undefined,
    };
    const ownHeaders = { authorization: 'Bearer canary' };
    const journey = { what: 'blob', method: 'GET', url: HOME, headers: { accept: '*/*' }, ownHeaders } as const;
    let shape: string;
    try {
      const arrival = await follow(transport, 'hub', journey, NEVER);
      shape = `arrived ${arrival?.elsewhere} ${asked.length}`;
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      shape = `${shapeOfError(error)} ${error.message.replaceAll(/\(.*?\)/g, '').slice(0, 40)}`;
    }
    demand(asked.length <= 6, 'five redirects are enough');
    for (const { url, headers } of asked) {
      demand(url.protocol === 'https:' && url.username === '' && url.password === '', 'never to what is not https');
      demand((headers['authorization'] !== undefined) === (url.origin === HOME.origin), 'credentials stay at home');
      isReferrersPath(url);
      isPublicAddress(normalHost(url.hostname));
    }
    return shape;
  },
};

/** What a token endpoint answers: its status, then its body. */
const tokenAnswer: Parser = {
  name: 'token-answer',
  covers: ['createTokens'],
  words: '{ } "token": "access_token": "expires_in": "issued_at": "abc.def" null 1e400 300 "300" -1 200\n 401\n 429\n'.split(
    ' ',
  ),
  longest: 128 * 1024,
  async read(input) {
    const newline = input.indexOf('\n');
    const status = Number(/^\d{3}$/.exec(input.slice(0, Math.max(newline, 0)))?.[0] ?? 200);
    const body = input.slice(newline + 1);
    const tokens = createTokens(async ({ url }) => responseOf(status, [['retry-after', '5']], url, body), createFakeClock());
    const request = { realm: new URL('https://auth.acme.test/token'), service: 'a', scopes: ['b'], credentials: undefined };
    const found = await tokens.get(request, NEVER);
    if (found.kind === 'token') demand(/^[\x21-\x7e]+$/.test(found.token), 'a token can stand in a header');
    return found.kind;
  },
};

/** What a scanner says of content. */
const verdict: Parser = {
  name: 'scanner-answer',
  covers: ['readAnswer'],
  words: ['{', '}', '"allow":', '"reason":', 'true', 'false', 'null', '"true"', ',', '"CVE-2026-1"', '[', ']'],
  longest: 64 * 1024,
  read(input) {
    const outcome = orRefused(() => readAnswer({ status: 200, body: bytesOf(input) }), [JudgeError]);
    if ('refused' in outcome) return 'none';
    const { kind, reason } = outcome.found;
    demand(kind === 'refused' || /"allow"|\\u/.test(input), 'nothing is let in that nobody has allowed');
    return `${kind} ${reason === ''}`;
  },
};

/** `NO_PROXY`, then the host that is asked. */
const noProxy: Parser = {
  name: 'no-proxy',
  covers: ['proxyFor'],
  words: ['*', '.acme.test', 'localhost', '10.0.0.0/8', '[::1]:443', ':443', ',', ' ', '\n', '10.1.2.3', 'fd00::/8'],
  longest: 4096,
  read(input) {
    const [without = '', host = ''] = input.split('\n', 2);
    const text = `https://${host}/`;
    const target = parseUrl(text) ?? HOME;
    const proxy = proxyFor('environment', { HTTPS_PROXY: 'http://proxy.test:3128', NO_PROXY: without }, target);
    return proxy === undefined ? 'direct' : 'proxy';
  },
};

export const answers: readonly Parser[] = [challenge, link, answer, redirect, tokenAnswer, verdict, noProxy];
