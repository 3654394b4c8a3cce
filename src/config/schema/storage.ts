import { z } from 'zod';
import { count, duration, flag, listOf, path, secret, target, text } from '../forms.ts';

export const storage = z.strictObject({
  filesystem: z
    .strictObject({
      rootdirectory: path()
        .prefault('/var/lib/registry')
        .describe('The directory that holds everything; relative to the configuration file.'),
    })
    .prefault({}),
  delete: z
    .strictObject({
      enabled: flag()
        .prefault('false')
        .describe('Clients may delete what was pushed here, and let go of what is cached: tags, manifests, and blobs.'),
    })
    .prefault({}),
  maintenance: z
    .strictObject({
      uploadpurging: z
        .strictObject({
          enabled: flag().prefault('true').describe('Uploads that nobody goes on with are dropped.'),
          age: duration().prefault('168h').describe('After so long without a byte.'),
          interval: duration().prefault('24h').describe('How often they are looked for.'),
          dryrun: flag().prefault('false').describe('Only logs what would go.'),
        })
        .prefault({}),
      readonly: z
        .strictObject({
          enabled: flag()
            .prefault('false')
            .describe('Nobody may push or delete (405), nor are uploads dropped; what is mirrored is cached all the same.'),
        })
        .prefault({}),
    })
    .prefault({}),
});

const lmdb = z.strictObject({
  path: path().optional().describe('Puts the embedded store elsewhere than in `rootdirectory`; never on NFS.'),
});

/** The short spellings `lmdb` and `redis` become the long ones. */
function spellOut(written: unknown): unknown {
  if (written === 'lmdb') return { kind: 'lmdb' };
  if (written === 'redis') return { kind: 'redis' };
  const isSection = typeof written === 'object' && written !== null && !Array.isArray(written);
  return isSection && !Object.hasOwn(written, 'kind') ? { ...written, kind: 'lmdb' } : { kind: 'unknown' };
}

export const metadata = z
  .preprocess(
    spellOut,
    z.discriminatedUnion('kind', [lmdb.extend({ kind: z.literal('lmdb') }), z.strictObject({ kind: z.literal('redis') })], {
      error: 'expected lmdb, redis, or a section with the path of the embedded store',
    }),
  )
  .meta({
    form: 'metadata',
    description: 'Where small facts are kept: `lmdb` (embedded), `{path: …}` to put that elsewhere, or `redis`.',
  });

const redisTls = z.strictObject({
  enabled: flag().optional().describe('Speaks TLS; understood where any other key of this section is written.'),
  certificate: path().optional().describe('Client certificate, PEM.'),
  key: path().optional().describe('Its key, PEM.'),
  rootcas: listOf(path()).optional().describe("Certificate authorities instead of the system's, PEM."),
});

export const redis = z.strictObject({
  addr: target(6379).optional().describe('The server.'),
  addrs: listOf(target(6379)).optional().describe('The server, or several nodes of one Redis Cluster.'),
  username: text().optional(),
  password: secret().optional(),
  passwordfile: path().optional().describe('File that holds the password.'),
  db: count(0, 65_535).prefault('0').describe('Number of the database; 0 in a cluster.'),
  tls: redisTls.optional(),
});
