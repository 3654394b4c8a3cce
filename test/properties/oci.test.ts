import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chooseChallenge, formatChallenge, parseChallenges } from '../../src/oci/challenge.ts';
import { digestOf, parseDigest } from '../../src/oci/digest.ts';
import { formatInstant, isLikeInstant, parseInstant } from '../../src/oci/instant.ts';
import { formatNextLink, nextLink } from '../../src/oci/link.ts';
import { readManifest } from '../../src/oci/manifest.ts';
import { DOCKER_SCHEMA1, mediaTypeOf, OCI_INDEX, OCI_MANIFEST } from '../../src/oci/media-types.ts';
import { parseRange, type ByteRange } from '../../src/oci/range.ts';
import { parseReference, parseTag, referenceText, referrersTag } from '../../src/oci/reference.ts';
import { filterReferrers } from '../../src/oci/referrers.ts';
import { parseRegistry } from '../../src/oci/registry.ts';
import { parseRepository } from '../../src/oci/repository.ts';
import { formatScope, parseScope, readScopes } from '../../src/oci/scope.ts';
import { ifNoneMatchMatches, ifRangeMatches } from '../../src/oci/validator.ts';

/** Strings of the characters that grammars turn on. */
const hostile = fc.string({ unit: fc.constantFrom(...'aZ09.-_/:,;=<>"\\[]{}@%*~ \t\r\n\0é'.split('')), maxLength: 60 });
const anyText = fc.oneof(fc.string({ unit: 'binary' }), hostile);

/** The grammars of the specification as patterns: slow on hostile input, but plainly right. */
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const repository = fc.stringMatching(REPOSITORY, { maxLength: 255 });

describe('grammars', () => {
  test('[P6] [P8] a repository is what the specification’s pattern says', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'a0.-_/A'.split('')), maxLength: 12 });
    fc.assert(
      fc.property(fc.oneof(repository, nearly, anyText), (text) => {
        expect(parseRepository(text)).toBe(REPOSITORY.test(text) && text.length <= 255 ? text : undefined);
      }),
      { numRuns: 2000 },
    );
  });

  test('[P9] what reads as a reference is written as it was read', () => {
    const digest = fc.uint8Array().map((bytes) => digestOf(bytes, bytes.length % 2 === 0 ? 'sha256' : 'sha512') as string);
    fc.assert(
      fc.property(fc.oneof(anyText, digest, fc.stringMatching(/^[\w][\w.-]{0,127}$/)), (text) => {
        const reference = parseReference(text);
        const isSameText = reference === undefined || referenceText(reference) === text;
        const hasTag = reference?.kind !== 'digest' || parseTag(referrersTag(reference.digest)) !== undefined;
        return isSameText && hasTag && (reference?.kind === 'digest') === (parseDigest(text) !== undefined);
      }),
      { numRuns: 1000 },
    );
  });

  test('[P108] a registry reads as itself, and is a host and nothing more', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          fc.domain(),
          fc.ipV4(),
          fc.ipV6().map((text) => `[${text}]`),
        ),
        (text) => {
          const registry = parseRegistry(text);
          if (registry === undefined) return;
          expect(parseRegistry(registry)).toBe(registry);
          const url = new URL(`https://${registry}`);
          expect([url.username, url.password, url.pathname, url.search, url.hash]).toEqual(['', '', '/', '', '']);
          expect(registry).toBe(registry.includes(':443') ? registry : url.host);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('[S21] a media type that is read can stand in a header', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const type = mediaTypeOf(text);
        return type === undefined || new Headers({ 'content-type': type }).get('content-type') === type;
      }),
    );
  });

  test('[P87] a link is read as what it was made of', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true }), (url) => {
        expect(nextLink(formatNextLink(url))).toBe(url);
        expect(nextLink(`</x,y>; rel="prev"; title="<\\"", ${formatNextLink(url)}`)).toBe(url);
      }),
    );
  });

  test('[P87] [S21] a link to anything is one link, fit for a header', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const header = formatNextLink(text);
        expect(header).toMatch(/^<[!-;=?-~]*>; rel="next"$/);
      }),
    );
  });
});

describe('challenges', () => {
  const token = fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/);
  const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  const value = fc.string({ unit: fc.constantFrom(...'ab,="\\ /:?'.split('')), maxLength: 12 });
  const challenge = fc.record({ scheme: token, parameters: fc.dictionary(token, value, { minKeys: 1, maxKeys: 4 }) });

  test('[P116] what was written is read, in one line or in several', () => {
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), (challenges) => {
        const lines = challenges.map(({ scheme, parameters }) => {
          const written = Object.entries(parameters).map(([name, text]) => `${name.toUpperCase()}=${quoted(text)}`);
          return `${scheme} ${written.join(', ')}`;
        });
        const plain = challenges.map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } }));
        for (const header of [lines, lines.join(', ')]) {
          expect(parseChallenges(header).map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } }))).toEqual(
            plain,
          );
        }
      }),
    );
  });
});

describe('our challenges', () => {
  test('[P115] are read as they were meant, whatever stands in them', () => {
    // A realm is an address, and comes out as one.
    const realm = fc.webUrl({ withQueryParameters: true }).map((url) => new URL(url).href);
    const text = fc.string({ unit: fc.constantFrom(...'ab,="\\ /:?\r\n'.split('')), maxLength: 12 });
    fc.assert(
      fc.property(realm, text, text, (address, service, scope) => {
        const [read, ...more] = parseChallenges(formatChallenge({ scheme: 'Bearer', realm: address, service, scope }));
        const said = (value: string): string => value.replaceAll(/["\\\r\n]/g, ' ');
        expect({ ...read?.parameters }).toEqual({ realm: address, service: said(service), scope: said(scope) });
        expect(more).toEqual([]);
        const basic = parseChallenges(formatChallenge({ scheme: 'Basic', realm: service }));
        expect(basic.map(({ scheme }) => scheme)).toEqual(['basic']);
      }),
    );
  });
});

describe('scopes', () => {
  const host = fc.option(fc.constantFrom('localhost', 'host.test:5000', 'Registry.Test', '127.0.0.1:80'), { nil: undefined });
  const scope = fc.record({
    type: fc.stringMatching(/^[a-z0-9]{1,10}$/),
    kind: fc.option(fc.stringMatching(/^[a-z0-9]{1,10}$/), { nil: undefined }),
    host,
    path: fc.stringMatching(REPOSITORY, { maxLength: 200 }),
    actions: fc.uniqueArray(fc.constantFrom('pull', 'push', 'delete', '*', 'x')),
  });

  test('what was written is read, and written again', () => {
    fc.assert(
      fc.property(scope, ({ type, kind, host: before, path, actions }) => {
        const name = before === undefined ? path : `${before}/${path}`;
        const meant = { type, ...(kind === undefined ? {} : { class: kind }), name, actions };
        expect(parseScope(formatScope(meant))).toEqual(meant);
      }),
    );
  });

  test('what reads as one is written as it was read, but for actions that are there twice or empty', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const read = parseScope(`repository:${text}`);
        expect(read && parseScope(formatScope(read))).toEqual(read);
      }),
      { numRuns: 2000 },
    );
  });

  test('of one question are never more than were asked for', () => {
    fc.assert(
      fc.property(
        fc.array(scope.map(({ kind: _kind, host: _host, path: name, ...rest }) => formatScope({ ...rest, name }))),
        (texts) => {
          const read = readScopes(texts);
          const again = readScopes(read?.scopes.map(formatScope) ?? []);
          expect(again?.scopes ?? []).toEqual(read?.scopes ?? []);
          expect(read?.unread ?? 0).toBe(0);
        },
      ),
    );
  });
});

/** What a range asks for, byte by byte. */
function bytesAsked(header: string, size: number): Set<number> {
  const wanted = new Set<number>();
  for (const spec of header.slice('bytes='.length).split(',')) {
    const [first = '', last = ''] = spec.split('-');
    for (let at = 0; at < size; at += 1) {
      const isIn = first === '' ? at >= size - Number(last) : at >= Number(first) && (last === '' || at <= Number(last));
      if (isIn) wanted.add(at);
    }
  }
  return wanted;
}

function bytesGiven(ranges: readonly ByteRange[]): number[] {
  return ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, at) => from + at));
}

describe('ranges', () => {
  const position = fc.nat({ max: 40 });
  const spec = fc.oneof(
    fc.tuple(position, position).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    position.map((first) => `${first}-`),
    position.map((length) => `-${length}`),
  );

  test('[P55] [P56] [P57] [P58] [P59] one range gives the bytes that a naive count gives', () => {
    fc.assert(
      fc.property(spec, fc.integer({ min: 1, max: 30 }), (text, size) => {
        const header = `bytes=${text}`;
        const asked = bytesAsked(header, size);
        const answer = parseRange(header, size);
        expect(answer.kind).toBe(asked.size === 0 ? 'unsatisfiable' : 'one');
        expect(new Set(bytesGiven(answer.kind === 'one' ? [answer] : []))).toEqual(asked);
      }),
      { numRuns: 2000 },
    );
  });

  test('[P61] [P62] several ranges give each byte once, or the whole', () => {
    fc.assert(
      fc.property(fc.array(spec, { minLength: 2, maxLength: 5 }), fc.integer({ min: 1, max: 30 }), (specs, size) => {
        const header = `bytes=${specs.join(',')}`;
        const answer = parseRange(header, size);
        const asked = bytesAsked(header, size);
        expect(answer.kind).not.toBe('one');
        fc.pre(answer.kind !== 'whole');
        const given = bytesGiven(answer.kind === 'many' ? answer.ranges : []);
        expect(new Set(given)).toEqual(asked);
        expect(given.length).toBe(asked.size);
      }),
      { numRuns: 2000 },
    );
  });

  test('[P67] whatever is asked, an answer lies inside', () => {
    const big = fc.bigInt({ min: 0n, max: 2n ** 70n }).map(String);
    const anySpec = fc.oneof(
      fc.tuple(big, big).map((pair) => pair.join('-')),
      big.map((first) => `${first}-`),
      big.map((last) => `-${last}`),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          anySpec.map((text) => `bytes=${text}`),
          anyText,
        ),
        fc.maxSafeNat(),
        (header, size) => {
          const answer = parseRange(header, size);
          const ranges = answer.kind === 'one' ? [answer] : answer.kind === 'many' ? answer.ranges : [];
          for (const { from, to } of ranges) expect(from >= 0 && from < to && to <= size).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('manifests', () => {
  const type = fc.constantFrom(undefined, 'text/plain', OCI_INDEX, OCI_MANIFEST, DOCKER_SCHEMA1, 'application/x.new+json');
  const descriptor = fc.record(
    {
      digest: fc.oneof(fc.constant(digestOf(new Uint8Array())), fc.anything()),
      size: fc.oneof(fc.nat(), fc.anything()),
      mediaType: fc.oneof(type, fc.anything()),
    },
    { requiredKeys: [] },
  );
  const nearly = fc.record(
    {
      mediaType: fc.oneof(type, fc.anything()),
      manifests: fc.oneof(fc.array(descriptor), fc.anything()),
      layers: fc.oneof(fc.array(descriptor), fc.anything()),
      config: fc.oneof(descriptor, fc.anything()),
      subject: descriptor,
      annotations: fc.anything(),
      schemaVersion: fc.constantFrom(1, 2),
    },
    { requiredKeys: [] },
  );
  const document = fc.oneof(nearly, fc.jsonValue()).map((value) => Buffer.from(JSON.stringify(value, plain) ?? ''));
  /** `fc.anything` makes what JSON cannot say. */
  const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

  test('[S12] [S22] any JSON and any bytes are read or refused, never thrown over, and stay as they are', () => {
    fc.assert(
      fc.property(fc.oneof(document, fc.uint8Array()), type, (bytes, contentType) => {
        const before = Buffer.from(bytes);
        const manifest = readManifest(bytes, contentType);
        expect(before.equals(bytes)).toBe(true);
        if (manifest.kind === 'fault') return;
        for (const { digest, size } of [...manifest.children, ...manifest.blobs]) {
          expect(parseDigest(digest)).toBe(digest);
          expect(Number.isSafeInteger(size) && size >= 0).toBe(true);
        }
        expect(manifest.children.length === 0 || manifest.blobs.length === 0).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('[S12] what a document says of itself is its type, whatever header it comes with', () => {
    const own = fc.constantFrom(OCI_INDEX, OCI_MANIFEST, DOCKER_SCHEMA1, 'application/x.new+json');
    fc.assert(
      fc.property(nearly, own, type, (value, mediaType, contentType) => {
        const bytes = Buffer.from(JSON.stringify({ ...value, mediaType }, plain));
        const manifest = readManifest(bytes, contentType);
        return manifest.kind === 'fault' || manifest.mediaType === mediaType;
      }),
      { numRuns: 1000 },
    );
  });

  test('[P95] [P96] lists of anything are filtered into lists', () => {
    fc.assert(
      fc.property(fc.oneof(document, fc.uint8Array()), fc.string(), (bytes, artifactType) => {
        const list = filterReferrers(bytes, artifactType);
        expect(readManifest(list, undefined).kind === 'fault' || Buffer.from(list).includes('manifests')).toBe(true);
        expect(JSON.parse(Buffer.from(list).toString())).toMatchObject({ schemaVersion: 2, mediaType: OCI_INDEX });
      }),
    );
  });
});

describe('[S27] a mebibyte costs nothing', () => {
  const MIB = 1024 * 1024;
  const units = [
    'a',
    'a/',
    'a-',
    '-',
    '_',
    '.',
    ',',
    ',;q=',
    '="',
    '"',
    '\\',
    '"\\',
    '<',
    '<a>;',
    '<>,',
    ';rel=',
    '0-0,',
    '9',
    '-1,',
    '0',
    ' ',
    '\t',
    'W/',
    'W/"a",',
    'Basic ',
    'Basic,',
    'a=b ',
    '[',
    ':',
    ':a',
  ];
  const parsers: Readonly<Record<string, (text: string) => unknown>> = {
    parseRepository,
    parseTag,
    parseReference,
    parseRegistry,
    parseDigest,
    parseScope: (text) => [parseScope(text), parseScope(`repository:${text}:pull`), readScopes([text])],
    scopesAtTheirLimit: (text) => readScopes([text.slice(0, 8192)]),
    mediaTypeOf,
    parseRange: (text) => [parseRange(text, 10), parseRange(`bytes=${text}`, 10)],
    ifRangeMatches: (text) => ifRangeMatches(text, '"a"'),
    ifNoneMatchMatches: (text) => ifNoneMatchMatches(text, '"b"'),
    parseChallenges: (text) => chooseChallenge(parseChallenges(text)),
    challengesAtTheirLimit: (text) => parseChallenges(`Bearer ${text}`.slice(0, 16_384)),
    nextLink,
    nextLinkAtItsLimit: (text) => nextLink(`</a>;${text}`.slice(0, 16_384)),
  };

  /** Once of twenty times is enough: what the machine does besides must not count. */
  function isFast(run: () => unknown): boolean {
    for (let times = 0; times < 20; times += 1) {
      const start = performance.now();
      run();
      if (performance.now() - start < 5) return true;
    }
    return false;
  }

  test.each(Object.keys(parsers))('%s', (name) => {
    const parse = parsers[name];
    const slow = units.filter((unit) => {
      const text = unit.repeat(MIB / unit.length);
      return !isFast(() => parse?.(text));
    });
    expect(slow).toEqual([]);
  });
});

test('no parser throws, whatever it is given', () => {
  fc.assert(
    fc.property(anyText, fc.array(anyText), (text, lines) => {
      parseRepository(text);
      parseReference(text);
      parseRegistry(text);
      parseScope(text);
      readScopes([text, ...lines]);
      formatChallenge({ scheme: 'Bearer', realm: text, service: text, scope: text });
      mediaTypeOf(text);
      parseRange(text, 10);
      ifRangeMatches(text, '"a"');
      ifNoneMatchMatches(text, '"a"');
      parseChallenges([text, ...lines]);
      nextLink(text);
    }),
    { numRuns: 2000 },
  );
});

describe('dates', () => {
  const instant = fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) });

  test('every moment is read as it is written, in both forms and either case', () => {
    fc.assert(
      fc.property(instant, (at) => {
        const iso = new Date(at).toISOString();
        const seconds = at - (at % 1000);
        for (const text of [iso, iso.replaceAll(/[-:]/g, ''), iso.toLowerCase(), formatInstant(at)])
          expect([parseInstant(text), isLikeInstant(text)]).toEqual([at, true]);
        expect(parseInstant(iso.replace(/\.\d+/, ''))).toBe(seconds);
        expect(parseInstant(iso.slice(0, 10))).toBe(at - (at % 86_400_000));
      }),
    );
  });

  test('nothing else is a date, least of all a day that no calendar has', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, fc.stringMatching(/^\d{4}-?\d\d-?\d\d(?:[tT ]\d\d:?\d\d(?::?\d\d)?[zZ]?)?$/)), (text) => {
        const at = parseInstant(text);
        if (at === undefined) return;
        const written = new Date(at).toISOString().replaceAll(/\D/g, '');
        expect(written.startsWith(text.replaceAll(/\D/g, ''))).toBe(true);
      }),
      { numRuns: 1000 },
    );
    for (const text of [
      '2026-02-30',
      '2026-00-01',
      '2026-13-01',
      '2026-11-01T24:00Z',
      '2026-11-01T12:60Z',
      '2026-11-01T12:00',
      '1969-12-31',
      '2026-11-1',
      '',
    ])
      expect([text, parseInstant(text)]).toEqual([text, undefined]);
  });
});
