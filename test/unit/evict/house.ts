import { collect, type CollectDeps, type CollectOptions, type CollectStep } from '../../../src/evict/collect.ts';
import { createHouse, type House as PushHouse, type HouseOptions } from '../push/house.ts';

export interface House extends PushHouse {
  /** All steps of one collection; the last is the whole. */
  collect(options?: Partial<CollectOptions>, deps?: Partial<CollectDeps>): Promise<readonly CollectStep[]>;
  readonly deps: CollectDeps;
}

/** Pushing and collecting over fakes, in one process or, with the same disk and metadata, in several. */
export async function createCollectHouse(options: HouseOptions = {}): Promise<House> {
  const house = await createHouse(options);
  const { clock, blobs, records } = house;
  const deps: CollectDeps = {
    clock,
    blobs,
    records,
    holder: `host ${options.process ?? 0} c`,
    isDead: () => false,
    report: () => undefined,
    retention: () => [],
    purge: () => Promise.resolve({ uploads: 0 }),
    quotas: () => Promise.resolve([]),
  };
  return {
    ...house,
    deps,
    async collect(asked, more) {
      const steps: CollectStep[] = [];
      const what = { dryRun: false, deleteUntagged: false, ...asked };
      for await (const step of collect({ ...deps, ...more }, what)) steps.push(step);
      return steps;
    },
  };
}

/** `link local/team/app layer`: what each step took, without digests' names where `names` has shorter ones. */
export function told(steps: readonly CollectStep[], names: ReadonlyMap<string, string> = new Map()): string[] {
  const name = (digest: string): string => names.get(digest) ?? digest;
  return steps.flatMap((step) => {
    switch (step.kind) {
      case 'tag':
        return [`tag ${step.repository}:${step.tag}`];
      case 'blob':
        return [`bytes ${name(step.digest)}`];
      case 'quota':
      case 'collected':
        return [];
      default:
        return [`${step.kind} ${step.repository} ${name(step.digest)}`];
    }
  });
}
