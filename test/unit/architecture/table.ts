/** Who may import what, and who alone owns which library: architecture.md, "Source layout". */

const PORTS = ['blobs/blob-store.ts', 'upstream/upstream.ts', 'metadata/records.ts'];
/** The type files of `pull` that the edge writes its answers from, beside the two doors. */
const PULL_DOORS = ['pull/pull.ts', 'pull/lists.ts', 'pull/content.ts', 'pull/reply.ts', 'pull/trace.ts', 'pull/name.ts'];

export type Everything = 'everything';

/** Folders (`oci`) and files (`pull/pull.ts`) that a folder's files may import, beside their own. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[] | Everything>> = {
  oci: [],
  system: [],
  config: ['oci'],
  observe: [],
  blobs: ['oci', 'system'],
  metadata: ['oci', 'system'],
  upstream: ['oci', 'system'],
  pull: ['oci', 'system', ...PORTS],
  push: ['oci', 'system', ...PORTS],
  evict: ['oci', 'system', ...PORTS],
  official: ['oci', 'system', ...PORTS, 'blobs/take.ts'],
  backup: ['oci', 'system', ...PORTS, 'blobs/take.ts', 'blobs/small-file.ts'],
  auth: ['oci', 'system', 'metadata/records.ts'],
  admission: ['oci', 'system', 'metadata/records.ts'],
  events: ['oci', 'system', 'metadata/records.ts'],
  http: ['oci', ...PULL_DOORS, 'push', 'auth'],
  // "The ports": time and the metadata store among them.
  admin: ['oci', 'system', ...PORTS, 'metadata/metadata-store.ts', 'observe'],
  workers: ['oci', 'system'],
  commands: 'everything',
  compose: 'everything',
  'compose.ts': 'everything',
  'main.ts': 'everything',
};

/** Folders and files that alone may import a library. One that is not here may be imported by nobody. */
export const OWNERS: Readonly<Record<string, readonly string[]>> = {
  '@hono/node-server': ['http'],
  hono: ['http'],
  undici: ['upstream'],
  cockatiel: ['upstream'],
  tldts: ['upstream'],
  'p-limit': ['upstream'],
  'ipaddr.js': ['upstream', 'http'],
  pino: ['observe'],
  'prom-client': ['observe'],
  '@opentelemetry/api': ['observe'],
  yaml: ['config'],
  zod: ['config'],
  lmdb: ['metadata/lmdb.ts'],
  // One driver in three files.
  ioredis: ['metadata/redis.ts', 'metadata/redis-options.ts', 'metadata/redis-policy.ts'],
  'lru-cache': ['pull', 'push', 'evict', 'auth', 'admission'],
  picomatch: ['pull/route.ts', 'auth'],
  jose: ['auth'],
  '@node-rs/bcrypt': ['auth'],
  '@sigstore/bundle': ['admission/cosign/keyless.ts'],
  '@sigstore/protobuf-specs': ['admission/cosign/keyless.ts'],
  '@sigstore/verify': ['admission/cosign/keyless.ts'],
  commander: ['commands'],
  '@aws-sdk/client-ecr': ['upstream/credentials/ecr.ts'],
  'node:child_process': ['system'],
  'node:cluster': ['system'],
  'node:fs': ['system'],
  'node:fs/promises': ['system'],
  'node:timers': ['system'],
  'node:v8': ['system'],
  'node:vm': ['system'],
  'node:timers/promises': ['system'],
};

/** What is Node's own and changes nothing outside: anybody's. Of the rest, `OWNERS` speaks. */
export const ANYBODYS: readonly string[] = [
  'node:assert',
  'node:async_hooks',
  'node:buffer',
  'node:crypto',
  'node:events',
  'node:http',
  'node:http2',
  'node:https',
  'node:module',
  'node:net',
  'node:os',
  'node:path',
  'node:process',
  'node:stream',
  'node:stream/promises',
  'node:string_decoder',
  'node:tls',
  'node:dns',
  'node:dns/promises',
  'node:url',
  'node:util',
  'node:zlib',
];

/** `oci` is pure: this is all that it may have of Node. */
export const OCI_MAY_USE: readonly string[] = ['node:crypto'];

/** Time and chance, which only `system/` touches; everybody else has them handed in (style.md, architecture.md "Proof"). */
export const NONDETERMINISM: Readonly<Record<string, RegExp>> = {
  setTimeout: /\bsetTimeout\s*\(/g,
  setInterval: /\bsetInterval\s*\(/g,
  'AbortSignal.timeout': /\bAbortSignal\s*\.\s*timeout\b/g,
  'Date.now': /\bDate\s*\.\s*now\b/g,
  'new Date()': /\bnew\s+Date\s*(?:\(\s*\)|(?![\s(\w]))/g,
  'performance.now': /\bperformance\s*\.\s*now\b/g,
  'Math.random': /\bMath\s*\.\s*random\b/g,
  'random bytes': /\b(?:randomBytes|randomUUID|randomInt|randomFillSync|getRandomValues)\s*\(/g,
};

/** Names that say nothing of what is in a file (style.md, "Names"). */
export const EMPTY_NAMES: ReadonlySet<string> = new Set(
  ['util', 'helper', 'manager', 'service'].flatMap((name) => [name, `${name}s`]).concat('common', 'misc'),
);

/** A rule's known exceptions, each with its reason. */
export const EXCEPTIONS: readonly { readonly file: string; readonly what: string; readonly why: string }[] = [
  {
    file: 'observe/log.ts',
    what: 'new Date()',
    why: 'pino stamps records by a function of its own; nothing decides by the stamp',
  },
  { file: 'commands/check.ts', what: 'AbortSignal.timeout', why: 'a person waits for the command, which ends with it' },
  { file: 'commands/look.ts', what: 'AbortSignal.timeout', why: 'a person waits for the command, which ends with it' },
];
