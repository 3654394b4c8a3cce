import type { AdminOptions } from './admin.ts';
import { askEach, type AnswerView } from './ask.ts';
import { inspectHeld, type HeldImage } from './held.ts';

/** All that is known of one image's name. */
export interface Explanation {
  readonly image: string;
  readonly steps: readonly string[];
  readonly registry: string;
  readonly repository: string;
  readonly reference: string;
  /** `undefined`: no route matches, and a pull is answered 404 without asking anybody. */
  readonly route: ExplainedRoute | undefined;
  /** What each upstream of the chain says now, in order; empty where nobody was asked. */
  readonly answers: readonly AnswerView[];
  readonly held: HeldImage;
  /** Who may pull it. */
  readonly access: string;
}

export interface ExplainedRoute {
  readonly name: string;
  readonly at: string | undefined;
  readonly deny: boolean;
  /** Nobody is asked: what is held is served, and nothing else. */
  readonly offline: boolean;
  readonly chain: readonly string[];
}

type ExplainOptions = Pick<AdminOptions, 'resolve' | 'routeOf' | 'records' | 'blobs' | 'clock'>;

export async function explain(options: ExplainOptions, image: string, signal: AbortSignal): Promise<Explanation> {
  const { steps, registry, repository, reference } = options.resolve(image);
  const route = options.routeOf({ registry, repository });
  const chain = route === undefined || route.deny ? [] : route.chain;
  const tagttlMs = route?.offline === true ? undefined : route?.tagttlMs;
  const [answers, held] = await Promise.all([
    askEach(options.clock, chain, { registry, repository, reference }, signal),
    inspectHeld(options, { repository: `${registry}/${repository}`, reference, tagttlMs }),
  ]);
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
      chain: route.chain.map(({ name }) => name),
    },
    answers,
    held,
    access:
      route === undefined
        ? 'nobody: no route matches'
        : route.deny
          ? 'nobody: the route denies it'
          : 'everybody: no auth is configured',
  };
}
