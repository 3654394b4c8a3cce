import type { ListingRecord, Records } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import { UpstreamError, type UpstreamFound, type UpstreamRequest } from '../upstream/upstream.ts';
import type { Source } from './cache-status.ts';
import { askChain, CHAIN_DEADLINE_MS, type Refusal } from './chain.ts';
import { Collapse } from './collapse.ts';
import type { ReportPull } from './events.ts';
import { judge, ttlSeconds } from './freshness.ts';
import type { Route } from './route.ts';
import type { Trace } from './trace.ts';

/** A list of an upstream as text, with what its headers said. */
export interface Listed {
  readonly body: string;
  /** The query of the next page of the upstream's list. */
  readonly next: Readonly<Record<string, string>> | undefined;
  readonly filtersApplied: string | undefined;
  readonly source: Source;
}

export interface ListAsk {
  readonly route: Route;
  readonly request: UpstreamRequest;
  /** Names the list and its query within the repository. */
  readonly key: string;
  readonly trace: Trace;
}

export interface ListingDeps {
  readonly clock: Clock;
  readonly records: Records;
  readonly report: ReportPull;
}

/** Longer lists are refused as the upstream's fault. */
const LIST_BYTES_MAX = 4 * 1024 * 1024;

/** Lists through to the upstream, cached with the tag's policy: fresh, asked again, stale when the chain fails. */
export class Listings {
  readonly #deps: ListingDeps;
  readonly #asks = new Collapse<Listed | Refusal>();

  constructor(deps: ListingDeps) {
    this.#deps = deps;
  }

  async get(ask: ListAsk): Promise<Listed | Refusal> {
    const { route, request, key } = ask;
    const holder = `${request.registry}/${request.repository}`;
    const record = await this.#record(holder, key);
    const now = this.#deps.clock.now();
    const freshness = record === undefined ? 'expired' : judge(record, route.policy, false, now);
    if (record !== undefined && freshness === 'fresh')
      return listed(record, { outcome: 'hit', ttlSeconds: ttlSeconds(record, route.policy, now) });
    if (record !== undefined && freshness === 'backoff') return this.#stale(ask, record);
    const { value } = await this.#asks.ask(`${route.name} ${holder} ${key}`, () => this.#fetch(ask, holder));
    if ('body' in value || record === undefined || freshness === 'expired' || value.kind === 'absent') return value;
    await this.#deps.records.putListing(holder, key, { ...record, failed: now });
    return this.#stale(ask, record);
  }

  async #fetch({ route, request, key, trace }: ListAsk, holder: string): Promise<Listed | Refusal> {
    const signal = new AbortController().signal;
    const result = await askChain(
      this.#deps.clock,
      { chain: route.chain, request, signal, deadlineMs: CHAIN_DEADLINE_MS, trace },
      async (answer, upstream) => ({ text: await readText(answer, upstream.name), answer }),
    );
    if (result.kind !== 'found') return result;
    const { text, answer } = result.value;
    const record: ListingRecord = {
      body: text,
      headers: {
        ...(answer.next === undefined ? {} : { next: new URLSearchParams(answer.next).toString() }),
        ...(answer.filtersApplied === undefined ? {} : { filtersApplied: answer.filtersApplied }),
      },
      checked: this.#deps.clock.now(),
      upstream: result.upstream.name,
    };
    const stored = await this.#keep(holder, key, record);
    return listed(record, { outcome: 'miss', upstream: record.upstream, stored });
  }

  async #record(holder: string, key: string): Promise<ListingRecord | undefined> {
    try {
      return await this.#deps.records.listing(holder, key);
    } catch (error) {
      this.#deps.report({ kind: 'bypass', reason: 'metadata', error });
      return undefined;
    }
  }

  async #keep(holder: string, key: string, record: ListingRecord): Promise<boolean> {
    try {
      await this.#deps.records.putListing(holder, key, record);
      return true;
    } catch (error) {
      this.#deps.report({ kind: 'bypass', reason: 'metadata', error });
      return false;
    }
  }

  #stale({ route }: ListAsk, record: ListingRecord): Listed {
    const seconds = ttlSeconds(record, route.policy, this.#deps.clock.now());
    return listed(record, { outcome: 'stale', ttlSeconds: seconds, why: 'stale: no upstream could be asked' });
  }
}

function listed({ body, headers }: ListingRecord, source: Source): Listed {
  const { next, filtersApplied } = headers;
  return { body, next: next === undefined ? undefined : Object.fromEntries(new URLSearchParams(next)), filtersApplied, source };
}

async function readText(answer: UpstreamFound, upstream: string): Promise<string> {
  const { body } = answer;
  if (body === undefined) throw new UpstreamError(upstream, 'status', `${upstream} answered a list without a body`);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (let chunk = await body.read(); chunk !== undefined; chunk = await body.read()) {
      length += chunk.byteLength;
      if (length > LIST_BYTES_MAX)
        throw new UpstreamError(upstream, 'status', `${upstream} sent a list of more than ${LIST_BYTES_MAX} bytes`);
      chunks.push(chunk.slice());
    }
  } finally {
    body.close();
  }
  const text = Buffer.concat(chunks, length).toString('utf8');
  if (isJsonObject(text)) return text;
  throw new UpstreamError(upstream, 'status', `${upstream} sent a list that is no JSON object`);
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false; // Not JSON at all is the answer to the question.
  }
}
