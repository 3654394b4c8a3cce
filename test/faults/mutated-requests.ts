import type { Random } from '../../src/system/random.ts';

/** A request as bytes go out. */
export interface RawRequest {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** Between the lines of the head. */
  readonly newline: string;
}

/** A request that is what its name says, or was. */
export function requestFor(method: string, target: string, headers: Readonly<Record<string, string>> = {}): RawRequest {
  const all = { Host: 'mirror.test', 'User-Agent': 'fuzz', ...headers };
  return { method, target, version: 'HTTP/1.1', headers: Object.entries(all), body: '', newline: '\r\n' };
}

export function toText({ method, target, version, headers, body, newline }: RawRequest): string {
  const lines = [
    `${method} ${target}${version === '' ? '' : ` ${version}`}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  return lines.join(newline) + newline + newline + body;
}

type Mutation = (request: RawRequest, draw: Draw) => RawRequest;

/** Choices from a seed. */
export interface Draw {
  /** 0 up to, not including, `below`. */
  below(below: number): number;
  of<T>(choices: readonly T[]): T;
}

export function drawFrom(random: Random): Draw {
  const below = (limit: number): number => Math.floor(random.fraction() * limit);
  return { below, of: (choices) => choices[below(choices.length)]! };
}

/** One to three things are different from what a client would send. */
export function mutate(request: RawRequest, draw: Draw): RawRequest {
  let mutated = request;
  for (let left = 1 + Math.min(draw.below(3), draw.below(3)); left > 0; left--) mutated = draw.of(MUTATIONS)(mutated, draw);
  return mutated;
}

const long = (count: number): string => 'a'.repeat(count);

/** What stands in the middle of a path, where it should not. */
const PIECES: readonly string[] = [
  ...'%2F %2f %252F %00 %0a %0d%0a %20 % %zz %c0%af %u002f .. ../ /../ ./ // /./ \\ ; ? # & = : @ @sha256: + ~ *'.split(' '),
  ...`| " ' < > { } ^ \` $ A Z _ __ ___ - . ..a a.. \u00e9 \u00ff \u0001 \u007f`.split(' '),
  ...'/manifests/ /blobs/ /v2/ /tags/list /referrers/ /blobs/uploads/ _catalog library/ docker.io/ localhost/'.split(' '),
  ...'127.0.0.1:1/ [::1]/ ghcr.io/ evil.test:443/ sha256: sha512:'.split(' '),
  ' ',
  '\t',
  long(130),
  long(300),
  long(9000),
];

const METHODS: readonly string[] = [
  ...'GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PROPFIND get PRI FOO M-SEARCH QUERY'.split(' '),
  'GE T',
  '',
];

const RANGES: readonly string[] = [
  ...'bytes=0-0 bytes=0- bytes=-1 bytes=-0 bytes=5-1 bytes=0-99999999999999999999 bytes=99999999- bytes=1-2,3-4'.split(' '),
  ...'bytes=0-0,0-0,0-0 bytes= bytes octets=0-1 bytes=a-b bytes=--1 bytes=0-1;q=1 BYTES=0-3 bytes=1e3- bytes=0x0-0x1'.split(
    ' ',
  ),
  ...'bytes=-99999999999 - bytes=0-,-1 bytes=, bytes=0-0, bytes=9007199254740993-'.split(' '),
  'bytes= 0 - 1',
  `bytes=${Array.from({ length: 300 }, (_, at) => `${at}-${at}`).join(',')}`,
];

const HEADERS: readonly (readonly [string, readonly string[]])[] = [
  ['Range', RANGES],
  ['If-Range', ['"x"', 'W/"x"', 'Sat, 01 Jan 2000 00:00:00 GMT', '', '"', '"sha256:x"']],
  ['If-None-Match', ['*', '""', '"x"', 'W/"x"', '"', ',', '"a","b"', long(5000)]],
  ['If-Match', ['*', '"x"']],
  ['If-Modified-Since', ['Sat, 01 Jan 2000 00:00:00 GMT', 'never']],
  ['Accept', ['*/*', '', 'text/html', 'a/b;q=2', ',,,', long(9000)]],
  ['Accept-Encoding', ['gzip', 'br, *;q=0', 'identity;q=0']],
  ['Authorization', ['Basic', 'Basic !!!', 'Basic Og==', 'Bearer x', 'Bearer', 'Digest x', long(9000), '\u00ff']],
  ['Host', ['', 'a', 'a:b', '[::1]:1', 'evil.test', 'a b', '../', 'x'.repeat(300), 'ghcr.io', 'docker.io', '\u00ff']],
  ['Content-Length', ['0', '1', '5', '-1', 'x', '1e3', '99999999999999999999', '5, 5', '']],
  ['Transfer-Encoding', ['chunked', 'identity', 'gzip, chunked', 'chunked, chunked', 'xchunked', '']],
  ['Connection', ['close', 'keep-alive', 'upgrade', 'close, te', 'x']],
  ['Upgrade', ['websocket', 'h2c', 'TLS/1.0']],
  ['Expect', ['100-continue', 'x', '100-continue, x', '']],
  ['TE', ['trailers', 'gzip']],
  ['Trailer', ['x']],
  ['X-Forwarded-For', ['1.2.3.4', 'x', ',,,', '::1']],
  ['X-Forwarded-Host', ['evil.test', 'a b']],
  ['X-Forwarded-Proto', ['https', 'javascript']],
  ['X-Request-Id', ['1', long(9000), '\u00ff', '{"a":1}']],
  ['User-Agent', ['', '\u0001', long(9000), '{"a":"b"}', 'docker/27']],
  ['Cookie', ['a=b', long(20_000)]],
  ['X-Big', [long(40_000), long(70_000)]],
  ['', ['x']],
  ['a b', ['x']],
  ['X\u0000', ['x']],
  ['X-Line', ['a\r\n b', 'a\nInjected: 1', 'a\rb']],
];

const QUERIES: readonly string[] = [
  ...'? ?ns=docker.io ?ns=ghcr.io ?ns=docker.io&ns=ghcr.io ?ns= ?ns=% ?ns=..%2f.. ?ns=127.0.0.1:1 ?ns=localhost'.split(' '),
  ...'?ns=DOCKER.IO ?ns=docker.io:443 ?ns=a%00b ?n=1 ?n=0 ?n=-1 ?n=x ?n=99999999999 ?n=1&n=2 ?last=3 ?last=%'.split(' '),
  ...'?last=../x ?artifactType=a/b ?artifactType=%0d%0a ?a=b&c ?digest=x #x'.split(' '),
  `?ns=${long(300)}`,
  `?last=${long(5000)}`,
];

/** What follows a head whose body was not announced, or announced wrongly. */
const BODIES: readonly string[] = [
  'x',
  '0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\n',
  'zz\r\n',
  '5\r\nhel',
  'GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n',
  '\u0000',
  '1;a=b\r\nx\r\n0\r\nTrailer: x\r\n\r\n',
  'ffffffffffffffffff\r\n',
];

const MUTATIONS: readonly Mutation[] = [
  (request, draw) => ({ ...request, target: insert(request.target, draw.of(PIECES), draw) }),
  (request, draw) => ({ ...request, target: insert(request.target, draw.of(PIECES), draw) }),
  (request, draw) => ({ ...request, target: insert(request.target, draw.of(PIECES), draw) }),
  (request, draw) => ({ ...request, target: cutOut(request.target, draw) }),
  (request, draw) => ({ ...request, target: flip(request.target, draw) }),
  (request, draw) => ({ ...request, target: escape(request.target, draw) }),
  (request, draw) => ({ ...request, target: request.target.replace(/\?.*/, '') + draw.of(QUERIES) }),
  (request, draw) => ({ ...request, target: draw.of(targets(request.target)) }),
  (request, draw) => ({ ...request, method: draw.of(METHODS) }),
  (request, draw) => withHeader(request, draw),
  (request, draw) => withHeader(request, draw),
  (request, draw) => withHeader(request, draw),
  (request, draw) => withHeader(withHeader(request, draw), draw),
  (request) => ({ ...request, headers: request.headers.filter(([name]) => name !== 'Host') }),
  (request, draw) => ({ ...request, headers: [...request.headers, ['Host', draw.of(['other.test', 'mirror.test'])]] }),
  (request, draw) => ({ ...request, headers: [...request.headers, ...Array.from({ length: draw.of([50, 150, 3000]) }, many)] }),
  (request, draw) => ({
    ...request,
    version: draw.of(['HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1.2', 'HTTP/9', 'http/1.1', '', 'x']),
  }),
  (request, draw) => ({ ...request, newline: draw.of(['\n', '\r', '\r\n ', '\r\n\t']) }),
  (request, draw) => ({ ...request, body: draw.of(BODIES) }),
  (request, draw) => ({ ...withHeader(request, draw, ['Content-Length', 'Transfer-Encoding']), body: draw.of(BODIES) }),
];

const many = (_: unknown, at: number): [string, string] => [`X-${at}`, String(at)];

function insert(text: string, piece: string, draw: Draw): string {
  const at = draw.below(text.length + 1);
  return text.slice(0, at) + piece + text.slice(at);
}

function cutOut(text: string, draw: Draw): string {
  const at = draw.below(text.length);
  return text.slice(0, at) + text.slice(at + 1 + draw.below(12));
}

function flip(text: string, draw: Draw): string {
  const at = draw.below(text.length);
  return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << draw.below(7))) + text.slice(at + 1);
}

/** A character as its escape: the same request to a server that decodes, another to one that does not. */
function escape(text: string, draw: Draw): string {
  const at = draw.below(text.length);
  const hex = text.charCodeAt(at).toString(16).padStart(2, '0');
  return `${text.slice(0, at)}%${draw.of([hex, `25${hex}`])}${text.slice(at + 1)}`;
}

function targets(target: string): string[] {
  return [
    '*',
    '',
    '/',
    `http://mirror.test${target}`,
    `http://evil.test${target}`,
    'mirror.test:80',
    `//evil.test${target}`,
    target + target,
  ];
}

function withHeader(request: RawRequest, draw: Draw, only?: readonly string[]): RawRequest {
  const choices = only === undefined ? HEADERS : HEADERS.filter(([name]) => only.includes(name));
  const [name, values] = draw.of(choices);
  const others = draw.below(2) === 0 ? request.headers.filter(([other]) => other !== name) : request.headers;
  return { ...request, headers: [...others, [name, draw.of(values)]] };
}
