import { z } from 'zod';
import { countOrAuto, flag, word } from './forms.ts';
import { audit } from './schema/audit.ts';
import { access, auth, groups } from './schema/auth.ts';
import { cache } from './schema/cache.ts';
import { health } from './schema/health.ts';
import { http } from './schema/http.ts';
import { limits } from './schema/limits.ts';
import { log } from './schema/log.ts';
import { credentials, names } from './schema/names.ts';
import { notifications } from './schema/notifications.ts';
import { proxy } from './schema/proxy.ts';
import { defaults, routes } from './schema/routes.ts';
import { metadata, redis, storage } from './schema/storage.ts';
import { upstreams } from './schema/upstreams.ts';
import { validation } from './schema/validation.ts';

/**
 * The configuration as one writes it: every key that is used, with its default and its description. JSON Schema
 * (`entrepot check --schema`), README's table, the environment's names and the suggestions of error messages are all
 * read from here. What is accepted without effect or refused by name stands in `official.ts` and `later.ts`.
 */
export const schema = z.strictObject({
  version: word('0.1').prefault('0.1').describe("Version of the format, the official registry's."),
  http: http.prefault({}).describe('Where and how to listen.'),
  storage: storage.prefault({}).describe('Where bytes are kept.'),
  cache: cache.prefault({}).describe('How much may be kept of what can be fetched again.'),
  metadata: metadata.prefault('lmdb'),
  redis: redis.optional().describe('The Redis server for `metadata: redis`.'),
  proxy: proxy
    .optional()
    .describe("The official registry's mirror mode: one upstream and one route for that registry. Instead of `routes`."),
  names: names.prefault({}).describe('How the name of an image is read.'),
  credentials,
  upstreams,
  defaults: defaults.prefault({}).describe('Policy of every route that does not say otherwise.'),
  routes,
  offline: flag()
    .prefault('false')
    .describe('Makes every route offline, whatever it says itself: no upstream is asked at all.'),
  log: log.prefault({}).describe('What is logged, and how.'),
  health: health.prefault({}).describe('Checks behind `/debug/health`.'),
  notifications: notifications.prefault({}).describe('Who is told of pushes, pulls, mounts and deletions.'),
  validation: validation.prefault({}).describe('What is asked of manifests that are pushed.'),
  auth: auth.optional().describe('Ways to say who one is; several at once.'),
  access,
  groups,
  limits: limits.prefault({}).describe('How much one client may ask for; without a key: as much as it likes.'),
  audit: audit
    .prefault({})
    .describe('A record of each pull, push, deletion, refusal, wrong sign-in and change of who may what.'),
  workers: countOrAuto(64)
    .prefault('1')
    .describe('Processes that serve as one, beside one that looks after them; `auto`: as many as there are processors to use.'),
});

/** What the schema yields: defaults in, durations in milliseconds; files not yet read, routes not yet resolved. */
export type Written = z.output<typeof schema>;
