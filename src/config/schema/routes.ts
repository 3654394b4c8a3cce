import { z } from 'zod';
import {
  count,
  digest,
  duration,
  durationOrForever,
  flag,
  form,
  instant,
  limit,
  listOf,
  maxage,
  pattern,
  pinPattern,
  platform,
  size,
  tagPattern,
  text,
  word,
} from '../forms.ts';
import { signed } from './signed.ts';
import { hiddenUrl } from './health.ts';

const retentionLine = z.strictObject({
  match: listOf(tagPattern()).describe('Patterns of tags.'),
  keep: word('forever').optional().describe('`forever`: these tags stay.'),
  unpulled: duration().optional().describe('Tags go that were neither pulled nor pushed for so long.'),
  newest: count(1, 1_000_000).optional().describe('Tags go but for so many, by when they were pushed last.'),
});

const digests = z.strictObject({
  allow: listOf(digest())
    .refine((list) => list.length > 0, { error: 'expected at least one digest: an empty list would let nothing in' })
    .meta({ form: 'list' })
    .optional()
    .describe('Only these manifests are served, and what they name: children of an index, and layers.'),
  deny: listOf(digest()).prefault([]).describe('These manifests and blobs are never served, whoever lists them.'),
});

const admit = z.strictObject({
  url: hiddenUrl().describe(
    'A scanner or policy server: asked once, by POST of JSON, about each manifest that is no index, before it is served; no redirect is followed. Hidden when shown.',
  ),
  timeout: limit(1000)
    .prefault('2m')
    .describe('How long its answer may take. Clients are told to try again after 20 s, and find what was said meanwhile.'),
  onerror: word('allow', 'deny')
    .prefault('deny')
    .describe('What becomes of content while it gives no answer: 503, or let in until it can be asked again.'),
});

const policy = {
  balance: word('failover', 'round-robin', 'weighted', 'least-latency', 'budget').describe(
    'Who of the chain is asked first: `failover`, as written; `round-robin` and `weighted` in turn; `least-latency` the fastest lately; `budget` where the published rate limit has most left.',
  ),
  replicas: flag().describe(
    "The upstreams hold the same tags, so that tags too are asked by the balance and not in the chain's order.",
  ),
  hedge: flag().describe(
    'Asks the next upstream beside one that is slower than 95 in a hundred of its answers were; who answers first is taken; tags only where `replicas` is true. It adds load just when an upstream is slow.',
  ),
  ratelimit: z.strictObject({
    reserve: count(0, 1_000_000_000).describe(
      'Pulls of the published rate limits that are kept for what is not held: with fewer left a held tag is served without asking.',
    ),
  }),
  parallel: count(1, 16).describe(
    'Ranges of a large blob that are fetched at once, from one or several upstreams; 1 fetches it in one piece.',
  ),
  immutable: listOf(tagPattern()).describe('Patterns of tags that never move: asked once.'),
  retention: z
    .array(retentionLine)
    .describe(
      'Which tags of what was pushed here `entrepot collect` takes: the first line that matches a tag decides, with one of `keep`, `unpulled` and `newest`; what none matches stays.',
    ),
  quota: size().describe(
    'How much of what is pushed all repositories of the route may hold together, each blob once in each repository; a push that would pass it is refused before it begins. Without it as much as the disk.',
  ),
  maxage: maxage().describe(
    'What was last used so long ago is evicted, looked for every ten minutes; what other repositories hold stays for as long as any of their routes allows.',
  ),
  pin: listOf(pinPattern()).describe(
    'Images that are never evicted: patterns over registry/repository or registry/repository:tag. Manifests and layers that a tag needs stay with it.',
  ),
  tagttl: duration().describe('How long a tag is believed before it is asked again.'),
  stale: durationOrForever().describe('How long past that it may be served when the chain fails.'),
  negativettl: duration().describe('How long a 404 is remembered.'),
  retry: duration().describe('How long after a failed check of a tag the next is tried.'),
  authttl: duration().describe('How long it is believed that a repository can be read without the account.'),
  ondelete: word('keep', 'drop').describe(
    'What happens to a held tag or list that the whole chain answers with 404: `keep` serves it with a warning, `drop` forgets it. What its digests name stays.',
  ),
  offline: flag().describe('Asks nobody: what is held is served whatever its age. Such a route needs no upstreams.'),
  prefetch: word('none', 'layers').describe(
    '`layers`: when a manifest is served, what it names is fetched before it is asked for.',
  ),
  platforms: listOf(platform()).describe(
    'Which platforms of an index are fetched in the background, such as linux/amd64; the index itself is served as it is.',
  ),
  asof: instant().describe(
    'Tags are answered as they stood then, such as 2026-11-01, by what was seen of them here; a digest is a digest at all times.',
  ),
  cooldown: duration().describe(
    'How long a tag has to have pointed to something before it is answered with: until then with what stood so long before it, or with 404. Counted from when this server saw it first; 0 for no time.',
  ),
  signed,
  digests: digests.describe('Lists of what may be served, by digest.'),
  admit: admit.describe('Somebody is asked what may be served.'),
};

export const defaults = z.strictObject({
  balance: policy.balance.prefault('failover'),
  replicas: policy.replicas.prefault('false'),
  hedge: policy.hedge.prefault('false'),
  ratelimit: policy.ratelimit.extend({ reserve: policy.ratelimit.shape.reserve.prefault('0') }).prefault({}),
  parallel: policy.parallel.prefault('1'),
  immutable: policy.immutable.prefault([]),
  retention: policy.retention.prefault([]),
  quota: policy.quota.optional(),
  maxage: policy.maxage.prefault('forever'),
  pin: policy.pin.prefault([]),
  tagttl: policy.tagttl.prefault('5m'),
  stale: policy.stale.prefault('forever'),
  negativettl: policy.negativettl.prefault('30s'),
  retry: policy.retry.prefault('10s'),
  authttl: policy.authttl.prefault('15m'),
  ondelete: policy.ondelete.prefault('keep'),
  offline: policy.offline.prefault('false'),
  prefetch: policy.prefetch.prefault('none'),
  platforms: policy.platforms.prefault([]),
  asof: policy.asof.optional(),
  cooldown: policy.cooldown.prefault('0'),
  signed: policy.signed.optional(),
  digests: policy.digests.optional(),
  admit: policy.admit.optional(),
});

const label = () =>
  form('text', 'a name of at most 128 characters', (written) => (/^[\x20-\x7e]{1,128}$/.test(written) ? written : undefined));

const route = z.strictObject({
  match: listOf(pattern()).describe('Patterns over registry/repository; `*` is a segment, `**` any number; or `well-known`.'),
  name: label().optional().describe('The metric label; the first pattern unless written.'),
  upstreams: listOf(text())
    .optional()
    .describe(
      'The chain: names of upstreams in the order in which they are asked; `origin` is the registry itself, `hosted` what was pushed here.',
    ),
  deny: flag().prefault('false').describe('403 for everybody.'),
  push: flag()
    .optional()
    .describe('Takes pushes; needs `hosted` in the chain. Unless written, only where the chain is `hosted` alone.'),
  shadow: flag()
    .prefault('false')
    .describe('Takes pushes also under names that the rest of the chain answers, which are then answered from here alone.'),
  passthrough: flag()
    .prefault('false')
    .describe(
      "Shows each repository only to whom its upstream shows it: a client's own user and password go there and nowhere else, and what it says is believed for `authttl`. Needs a chain of one upstream, and rules under access that let `anyone` pull.",
    ),
  ...z.strictObject(policy).partial().shape,
});

export const routes = z.array(route).optional().describe('The first whose pattern matches decides.');
