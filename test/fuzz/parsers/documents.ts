import { RegistryError } from '../../../src/oci/errors.ts';
import { readDescriptor } from '../../../src/oci/descriptor.ts';
import { readJsonObject } from '../../../src/oci/json.ts';
import { duplicateKey, jsonDepthExceeds } from '../../../src/oci/json-scan.ts';
import { DESCRIPTORS_MAX, readManifest, type Manifest } from '../../../src/oci/manifest.ts';
import { isIndexType, isManifestType, OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-types.ts';
import { readPushedManifest } from '../../../src/oci/pushed-manifest.ts';
import { filterReferrers, readReferrers } from '../../../src/oci/referrers.ts';
import { checkUrls } from '../../../src/push/manifest-rules.ts';
import { bytesOf, demand, orRefused, type Parser } from '../parser.ts';

const MIB = 1024 * 1024;
const DIGEST = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const DESCRIPTOR = `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"${DIGEST}","size":3}`;
const KEYS =
  'schemaVersion mediaType artifactType config layers blobs manifests subject annotations digest size urls platform data';
const WORDS: readonly string[] = [
  ...KEYS.split(' ').map((key) => `"${key}":`),
  ...[DESCRIPTOR, `"${DIGEST}"`, `"${OCI_INDEX}"`, `"${OCI_MANIFEST}"`, '"Layers":', '"__proto__":', '"layers"', '2', 'null'],
  ...['[', ']', '{', '}', ',', ':', '"', '\\', '\\u006cayers', '1e400', '9007199254740993', '"urls":["http://a.test/x"],'],
];

function checkManifest(manifest: Manifest): void {
  const { children, blobs, mediaType, subject } = manifest;
  const all = [...children, ...blobs, ...(subject === undefined ? [] : [subject])];
  demand(all.length <= DESCRIPTORS_MAX, 'it has no more descriptors than may be');
  demand(children.length === 0 || blobs.length === 0, 'it is an index or an image');
  demand(isIndexType(mediaType) ? blobs.length === 0 : children.length === 0, 'its type says which');
  for (const { size, digest } of all) {
    demand(Number.isSafeInteger(size) && size >= 0, 'sizes are sizes');
    demand(/^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/.test(digest), 'digests are digests');
  }
}

/** The first line is the Content-Type. */
const manifest: Parser = {
  name: 'manifest',
  covers: ['readManifest', 'readPushedManifest', 'manifestTypeOf', 'readDescriptor', 'readJsonObject', 'isManifestType'],
  words: WORDS,
  longest: 4 * MIB,
  read(input) {
    const newline = input.indexOf('\n');
    const bytes = bytesOf(input.slice(newline + 1));
    const type = newline > 0 ? input.slice(0, newline) : undefined;
    const found = readManifest(bytes, type);
    const pushed = readPushedManifest(bytes, type);
    if (found.kind === 'manifest') checkManifest(found);
    if (pushed.kind === 'manifest') {
      demand(
        found.kind === 'manifest' && found.mediaType === pushed.mediaType,
        'what may be pushed may be pulled, as the same',
      );
      demand(isManifestType(pushed.mediaType), 'only manifests are pushed');
      // Whatever else it comes as, it stays what it is (S12).
      for (const other of [OCI_INDEX, OCI_MANIFEST, undefined]) {
        const again = readManifest(bytes, other);
        demand(
          again.kind === 'fault' ||
            !isManifestType(again.mediaType) ||
            isIndexType(again.mediaType) === isIndexType(pushed.mediaType),
          'one document is never served as an index and as an image',
        );
      }
    }
    if (found.kind === 'fault') return found.reason.replaceAll(/application\/\S+/g, 'type').slice(0, 60);
    return [found.mediaType.length, Math.min(found.children.length, 2), Math.min(found.blobs.length, 3), pushed.kind].join(' ');
  },
};

const descriptor: Parser = {
  name: 'descriptor',
  covers: ['readDescriptor'],
  words: WORDS,
  longest: 64 * 1024,
  read(input) {
    const json = readJsonObject(bytesOf(input));
    if (json.kind === 'fault') return json.reason;
    const answer = readDescriptor(json.value);
    return answer.kind === 'fault'
      ? answer.reason
      : `${answer.kind} ${answer.kind === 'descriptor' && answer.descriptor.foreign}`;
  },
};

const referrers: Parser = {
  name: 'referrers',
  covers: ['readReferrers', 'filterReferrers'],
  words: [...WORDS, '"artifactType":"a/b"'],
  longest: 4 * MIB,
  read(input) {
    const bytes = bytesOf(input);
    const entries = readReferrers(bytes);
    const filtered = readReferrers(filterReferrers(bytes, 'a/b'));
    demand(filtered !== undefined && filtered.length <= (entries?.length ?? 0), 'a filter only takes away');
    return `${Math.min(entries?.length ?? -1, 3)} ${Math.min(filtered.length, 2)}`;
  },
};

const json: Parser = {
  name: 'json',
  covers: ['jsonDepthExceeds', 'duplicateKey'],
  words: WORDS,
  longest: MIB,
  read(input) {
    const bytes = bytesOf(input);
    const isDeep = jsonDepthExceeds(bytes, 64);
    const read = readJsonObject(bytes);
    demand(!isDeep || read.kind === 'fault', 'what is too deep is not parsed');
    if (read.kind === 'fault') return `${isDeep} ${read.reason}`;
    demand(depthOf(read.value) <= 64, 'what is parsed is not too deep');
    const twice = duplicateKey(bytes);
    if (input.length <= 2000) demand((twice !== undefined) === hasDuplicate(bytes), 'a key that stands there twice is seen');
    return `object ${twice !== undefined}`;
  },
};

function depthOf(value: unknown): number {
  return typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
}

/** By the parser's own words: it visits the keys of the outermost object once each, and what stands there says how many there were. */
function hasDuplicate(bytes: Buffer): boolean {
  let [text, depth] = ['', 0];
  const seen = new Set<string>();
  const source = bytes.toString('utf8');
  for (let at = 0; at < source.length; at++) {
    const one = source.charAt(at);
    if (one === '"') {
      let end = at + 1;
      while (source.charAt(end) !== '"') end += source.charAt(end) === '\\' ? 2 : 1;
      text = source.slice(at, end + 1);
      at = end;
    } else if (one === '{' || one === '[') depth += 1;
    else if (one === '}' || one === ']') depth -= 1;
    else if (one === ':' && depth === 1) {
      const key = JSON.parse(text) as string;
      if (seen.has(key)) return true;
      seen.add(key);
    }
  }
  return false;
}

const RULES = {
  children: 'all',
  blobs: 'all',
  urls: { allow: [/^https:\/\/([a-z]+\.)*mcr\.test\//], deny: [/secret/] },
} as const;

/** URLs of layers, one a line. */
const urls: Parser = {
  name: 'layer-urls',
  covers: ['checkUrls'],
  words: 'https:// http:// mcr.test/ a.b.mcr.test/ secret # @ [::1] aaaa. \n'.split(' '),
  longest: 16_384,
  // The expressions are the operator's, and run for 50 ms; a context of their own costs a few.
  msMax: 250,
  read(input) {
    const layers = input.split('\n').slice(0, 5);
    const value = { mediaType: 'a/b', digest: DIGEST, size: 1, urls: layers };
    const read = readDescriptor(value);
    if (read.kind !== 'descriptor') return read.kind;
    const image: Manifest = {
      kind: 'manifest',
      mediaType: OCI_MANIFEST,
      children: [],
      blobs: [read.descriptor],
      subject: undefined,
      artifactType: undefined,
      annotations: new Map(),
    };
    const outcome = orRefused(() => checkUrls(image, RULES), [RegistryError]);
    if ('refused' in outcome) return outcome.refused;
    demand(
      layers.every((url) => new URL(url).hostname.endsWith('mcr.test')),
      'only what the rules take passes',
    );
    return 'taken';
  },
};

export const documents: readonly Parser[] = [manifest, descriptor, referrers, json, urls];
