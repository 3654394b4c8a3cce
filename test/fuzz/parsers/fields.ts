import { isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';
import { addressGroup } from '../../../src/auth/address-group.ts';
import { createClientAddresses, parseAddress } from '../../../src/http/client-address.ts';
import { objection, requestIdOf } from '../../../src/http/guard.ts';
import { publicAddress } from '../../../src/http/public-address.ts';
import { clientKind } from '../../../src/observe/client-kind.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import { mediaTypeOf } from '../../../src/oci/media-types.ts';
import { ifNoneMatchMatches, ifRangeMatches, parseRange, type ByteRange } from '../../../src/oci/range.ts';
import { formatVia, isPseudonym, parseVia } from '../../../src/oci/via.ts';
import { parseContentRange } from '../../../src/push/content-range.ts';
import { demand, fieldsOf, orRefused, type Parser } from '../parser.ts';

/** Node takes as much of all fields together. */
const LONGEST = 16_384;

const SIZES = [0, 1, 2, 500, 1000, 2 ** 31, 2 ** 40, 2 ** 53 - 1];

/** The first character says how much there is. */
const range: Parser = {
  name: 'range',
  covers: ['parseRange'],
  words: 'bytes= bytes 0-0 0- -1 -0 5-1 1-2,3-4 , - = 0-499 500-'.split(' '),
  longest: LONGEST,
  read(input) {
    const size = SIZES[(input.charCodeAt(0) || 0) % SIZES.length] ?? 0;
    const answer = parseRange(input.slice(1), size);
    const ranges: readonly ByteRange[] = answer.kind === 'one' ? [answer] : answer.kind === 'many' ? answer.ranges : [];
    demand(answer.kind !== 'many' || ranges.length > 1 || input.includes(','), 'several are several');
    let bytes = 0;
    for (const { from, to } of ranges) {
      demand(Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 0 && from < to && to <= size, 'it is inside');
      bytes += to - from;
    }
    demand(bytes <= size, 'parts never come to more than the whole');
    return `${answer.kind} ${Math.min(ranges.length, 3)} ${size === 0}`;
  },
};

const ETAG = '"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"';

const conditions: Parser = {
  name: 'conditions',
  covers: ['ifNoneMatchMatches', 'ifRangeMatches'],
  words: [ETAG, 'W/', '*', '""', '"a"', ', ', ETAG.slice(1, -1)],
  longest: LONGEST,
  read(input) {
    const [none, part] = [ifNoneMatchMatches(input, ETAG), ifRangeMatches(input, ETAG)];
    if (none) demand(input.trim() === '*' || input.includes(ETAG.slice(1, -1)), 'only what names it matches');
    if (part) demand(input.includes(ETAG.slice(1, -1)), 'only itself lets a range stand');
    return `${none} ${part}`;
  },
};

const contentType: Parser = {
  name: 'content-type',
  covers: ['mediaTypeOf'],
  words: 'application/ vnd.oci.image.manifest.v1+json ; charset=utf-8 text/html */* json'.split(' '),
  longest: LONGEST,
  read(input) {
    const type = mediaTypeOf(input);
    if (type === undefined) return 'none';
    demand(mediaTypeOf(type) === type && /^[\x21-\x7e]+\/[\x21-\x7e]+$/.test(type), 'it can stand in a header');
    return input.includes(';') ? 'parameters' : 'type';
  },
};

const via: Parser = {
  name: 'via',
  covers: ['parseVia', 'isPseudonym'],
  words: ['1.1 ', '1.0 ', 'HTTP/1.1 ', 'entrepot-0123456789abcdef', '2 ', ', ', '(a comment)', 'entrepot-'],
  longest: LONGEST,
  read(input) {
    const hops = parseVia(input);
    demand(hops.every(isPseudonym) && new Set(hops).size === hops.length, 'each is one of us, once');
    demand(JSON.stringify(parseVia(formatVia(hops))) === JSON.stringify(hops), 'it is read as it is written');
    return String(Math.min(hops.length, 3));
  },
};

const addresses = createClientAddresses(['10.0.0.0/8', '127.0.0.1', 'fd00::/8', '::ffff:192.0.2.0/120']);

/** A request as the edge sees one: the first line is the peer's address, the others are fields. */
function incomingOf(input: string): IncomingMessage {
  const [peer = '', ...rest] = input.split('\n');
  const fields = fieldsOf(rest.join('\n'));
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of fields) {
    const joined = headers[name] === undefined || name === 'host' ? value : `${headers[name]}, ${value}`;
    if (name !== 'host' || headers['host'] === undefined) headers[name] = joined;
  }
  const socket = { remoteAddress: peer === 'unix' ? undefined : peer };
  return { socket, headers, rawHeaders: fields.flat(), url: '/v2/', httpVersion: '1.1' } as unknown as IncomingMessage;
}

const forwarded: Parser = {
  name: 'forwarded',
  covers: ['createClientAddresses', 'parseAddress', 'publicAddress', 'addressGroup', 'objection', 'requestIdOf'],
  words: [
    '10.0.0.1\n',
    '192.0.2.7\n',
    'unix\n',
    '\nHost: ',
    '\nX-Forwarded-For: ',
    '\nX-Forwarded-Host: ',
    '\nX-Forwarded-Proto: ',
    '\nX-Request-Id: ',
    '1.2.3.4',
    '::1',
    '[::1]:80',
    '::ffff:10.0.0.1',
    'fe80::1%eth0',
    'unknown',
    'https',
    ', ',
    'evil.test',
  ],
  longest: LONGEST,
  read(input) {
    const incoming = incomingOf(input);
    const client = addresses.clientOf(incoming);
    const isAddress = isIP(client) !== 0;
    demand(isAddress || client === 'unknown' || client === 'unix', 'whoever asks has an address');
    if (isAddress) demand(parseAddress(client)?.toString() === client, 'an address has one spelling');
    demand(addressGroup(client).length <= 64, 'and one group');
    const own = publicAddress(incoming, undefined, addresses);
    if (own !== undefined) {
      const url = new URL(own);
      demand(/^https?:\/\/[^/?#@\\\s]+$/.test(own) && url.pathname === '/' && url.username === '', 'it is an authority alone');
    }
    const id = requestIdOf(incoming);
    demand(id === undefined || /^[\x21-\x7e]{1,128}$/.test(id), 'a request id can stand in a header');
    const refused = objection(incoming);
    return [isAddress ? isIP(client) : client, own === undefined, id === undefined, refused?.status].join(' ');
  },
};

/** The first line is the length of the body, or none. */
const contentRange: Parser = {
  name: 'content-range',
  covers: ['parseContentRange'],
  words: 'bytes 0-1023 0-0 5-4 /100 /* - 999999999999999'.split(' '),
  longest: LONGEST,
  read(input) {
    const [length = '', text = ''] = input.split('\n', 2);
    const known = /^\d{1,15}$/.test(length) ? Number(length) : undefined;
    const outcome = orRefused(() => parseContentRange(text, known), [RegistryError]);
    if ('refused' in outcome) return outcome.refused;
    const { from, to } = outcome.found;
    demand(Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 0 && from < to, 'a chunk has a place');
    demand(known === undefined || to - from === known, 'it is as long as its body');
    return `range ${known === undefined}`;
  },
};

const userAgent: Parser = {
  name: 'user-agent',
  covers: ['clientKind'],
  words: 'docker/ buildkit/ containerd/ libpod/ cri-o/ Helm/ curl/ kaniko go-containerregistry ( ; )'.split(' '),
  longest: LONGEST,
  read: (input) => clientKind(input),
};

export const fields: readonly Parser[] = [range, conditions, contentType, via, forwarded, contentRange, userAgent];
