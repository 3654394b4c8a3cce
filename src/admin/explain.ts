import { HOSTED } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { AdminOptions } from './admin.ts';
import { askEach, type AnswerView } from './ask.ts';
import { inspectHeld, type HeldImage } from './held.ts';
import { historyOf, type TagHistory } from './history.ts';
import type { RouteView } from './image.ts';
import type { PinView } from './pins.ts';

/** All that is known of one image's name. */
export interface Explanation {
  readonly image: string;
  readonly steps: readonly string[];
  readonly registry: string;
  readonly repository: string;
  readonly reference: string;
  /** `undefined`: no route matches, and a pull is answered 404 without asking anybody. */
  readonly route: ExplainedRoute | undefined;
  /** Whether the repository is hosted here, and so answered by nobody else; `undefined` where its chain has no `hosted`. */
  readonly hosted: HostedView | undefined;
  /** What each upstream of the chain says now, in order; empty where nobody was asked. */
  readonly answers: readonly AnswerView[];
  readonly held: HeldImage;
  /** What was seen of the tag; `undefined` for a digest. */
  readonly history: TagHistory | undefined;
  /** What judges said of it, and of the manifests that it lists; empty where none are asked. */
  readonly verdicts: readonly VerdictView[];
  /** Which pins keep it. */
  readonly pinned: readonly PinView[];
  /** Since its last use, after which it goes; `undefined`: never for its age, or it is hosted. */
  readonly maxAgeMs: number | undefined;
  /** Who may pull it, or whether the one may who was asked about. */
  readonly access: string;
}

export interface VerdictView {
  readonly digest: Digest;
  /** `digests`, `signed`, `admit`. */
  readonly judge: string;
  /** `undefined`: it was not asked. */
  readonly admitted: boolean | undefined;
  readonly reason: string;
  /** ISO 8601. */
  readonly at: string | undefined;
}

export interface HostedView {
  /** How it came to be hosted; `undefined`: nothing was pushed under this name. */
  readonly by: 'push' | 'import' | undefined;
  /** ISO 8601. */
  readonly since: string | undefined;
}

export interface ExplainedRoute {
  readonly name: string;
  readonly at: string | undefined;
  readonly deny: boolean;
  /** Nobody is asked: what is held is served, and nothing else. */
  readonly offline: boolean;
  /** Takes pushes. */
  readonly push: boolean;
  /** As it is written, `hosted` among it; without those that are not asked because it is offline. */
  readonly chain: readonly string[];
}

type ExplainOptions = Pick<AdminOptions, 'whoMayPull' | 'resolve' | 'routeOf' | 'records' | 'blobs' | 'clock' | 'cache'>;

export async function explain(options: ExplainOptions, image: string, signal: AbortSignal, as?: string): Promise<Explanation> {
  const { steps, registry, repository, reference, asof } = options.resolve(image);
  const holder = `${registry}/${repository}`;
  const route = options.routeOf({ registry, repository });
  const hosted = route?.hosted === true ? await hostedView(options, holder) : undefined;
  const isHosted = route?.alone === true || hosted?.by !== undefined;
  // An upstream need not even hear the name of what is hosted.
  const chain = route === undefined || route.deny || isHosted ? [] : route.chain;
  const tagttlMs = route?.offline === true || isHosted ? undefined : route?.tagttlMs;
  const [answers, held] = await Promise.all([
    askEach(options.clock, chain, { registry, repository, reference }, signal),
    inspectHeld(options, { repository: holder, reference, tagttlMs }),
  ]);
  const history = await historyOf(options, holder, reference, isHosted ? undefined : route, asof);
  const tag = reference.includes(':') ? undefined : reference;
  const pins = (await options.cache.pins()).filter(({ matches }) => matches(holder, tag));
  return {
    image,
    steps,
    registry,
    repository,
    reference,
    route: route && {
      name: route.name,
      at: route.at,
      deny: route.deny,
      offline: route.offline,
      push: route.push,
      chain: route.offline ? route.names.filter((upstream) => upstream === HOSTED) : route.names,
    },
    hosted,
    answers,
    held,
    history,
    verdicts: await verdictsOf(route, holder, held),
    pinned: pins.map(({ text, by }) => ({ text, by })),
    maxAgeMs: isHosted || route?.offline === true || pins.length > 0 ? undefined : options.cache.maxAgeMs(holder),
    access:
      route === undefined
        ? 'nobody: no route matches'
        : route.deny
          ? 'nobody: the route denies it'
          : options.whoMayPull(holder, as),
  };
}

async function verdictsOf(route: RouteView | undefined, holder: string, held: HeldImage): Promise<readonly VerdictView[]> {
  const digests = new Set([held.digest, ...held.platforms.map(({ digest }) => digest)]);
  const views: VerdictView[] = [];
  for (const digest of digests) {
    if (digest === undefined) continue;
    for (const { at, ...view } of (await route?.admission?.verdicts(holder, digest)) ?? [])
      views.push({ digest, ...view, at: at === undefined ? undefined : new Date(at).toISOString() });
  }
  return views;
}

async function hostedView({ records }: ExplainOptions, holder: string): Promise<HostedView> {
  const owner = await records.owner(holder);
  return { by: owner?.by, since: owner && new Date(owner.at).toISOString() };
}
