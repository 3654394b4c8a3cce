import { Cluster, type Redis } from 'ioredis';
import type { Clock, Timer } from '../system/clock.ts';
import { MetadataRefused, MetadataUnavailable } from './unavailable.ts';

const AGAIN_MS = 3600 * 1000;

/**
 * Holds a server to `maxmemory-policy noeviction`: any other may drop a link or a tag whenever memory is short, and an absent
 * one would then be a wrong answer. Asked at every connection and every hour; until the first answer nothing may be read.
 */
export class RedisPolicy {
  readonly #client: Redis | Cluster;
  readonly #clock: Clock;
  #state: 'unknown' | 'holds' | { readonly refused: string } = 'unknown';
  #timer: Timer | undefined;

  constructor(client: Redis | Cluster, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
    // A failed check leaves what was known; the connection's end, which made it fail, brings the next one.
    client.on('ready', () => void this.check().catch(() => undefined));
    this.#checkHourly();
  }

  /** Throws {@link MetadataRefused} or {@link MetadataUnavailable} unless the policy is known to hold. */
  mustHold(): void {
    if (this.#state === 'unknown') throw new MetadataUnavailable('redis: not connected yet');
    if (this.#state !== 'holds') throw new MetadataRefused(this.#state.refused);
  }

  async check(): Promise<void> {
    const policies = await Promise.all(this.#nodes().map(policyOf));
    const wrong = policies.find((policy) => policy !== 'noeviction');
    this.#state = wrong === undefined ? 'holds' : { refused: refusal(wrong) };
    this.mustHold();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #nodes(): readonly Redis[] {
    return this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client];
  }

  #checkHourly(): void {
    this.#timer = this.#clock.after(AGAIN_MS, () => {
      void this.check().catch(() => undefined); // Said by every call from now on, if it was refused.
      this.#checkHourly();
    });
  }
}

/** By INFO, since hosted services forbid CONFIG. */
async function policyOf(node: Redis): Promise<string> {
  const info = await node.info('memory');
  return /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'unknown';
}

function refusal(policy: string): string {
  return `redis: maxmemory-policy is ${policy}, under which it may drop what we keep there: set maxmemory-policy noeviction`;
}
