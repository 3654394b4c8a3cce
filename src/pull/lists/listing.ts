import type { ListingRecord, Records } from '../../metadata/records.ts';
import type { Clock } from '../../system/clock.ts';
import { UpstreamError, type UpstreamFound, type UpstreamRequest } from '../../upstream/upstream.ts';
import { isCertain, type Absence, type Absences } from '../absences.ts';
import type { Source } from '../cache-status.ts';
import { askChain, CHAIN_DEADLINE_MS } from '../chain.ts';
import { Collapse } from '../collapse.ts';
import type { ReportPull } from '../events.ts';
import { askedAt, judge, mayBeStale, ttlSeconds } from '../freshness.ts';
import { OFFLINE, readable } from '../offline.ts';
import { grants, neededFor } from '../granting.ts';
import type { Refusal, Tried } from '../refusal.ts';
import { keyOf, type Route } from '../route.ts';
import { noteTried, type Trace } from '../trace.ts';
import type { Unowned } from '../unowned.ts';
import { within } from '../within.ts';

/** A list of an upstream as text, with what its headers said. */
export interface Listed {
  readonly kind: 'listed';
  readonly body: string;
  /** The query of the next page of the upstream's list. */
  readonly next: Readonly<Record<string, string>> | undefined;
  readonly filtersApplied: string | undefined;
  readonly source: Source;
  readonly tried: readonly Tried[];
}

/** Nobody was asked for it now. */
export type Remembered = Absence & { readonly remembered: true };

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
  readonly absences: Absences;
  readonly unowned: Unowned;
}

/** Longer lists are refused as the upstream's fault. */
const LIST_BYTES_MAX = 4 * 1024 * 1024;

/** With something stale at hand nobody waits longer for a chain that does not answer. */
const STALE_WAIT_MS = 4_500;

/** Lists through to the upstream, cached with the tag's policy: fresh, asked again, stale when the chain fails. */
export class Listings {
  readonly #deps: ListingDeps;
  readonly #asks: Collapse<Listed | Refusal>;

  constructor(deps: ListingDeps) {
    this.#deps = deps;
    this.#asks = new Collapse(deps.clock, deps.unowned);
  }

  async get(ask: ListAsk): Promise<Listed | Refusal | Remembered> {
    const { route, request, key } = ask;
    const holder = `${request.registry}/${request.repository}`;
    if (route.policy.offline) return this.#held(route, holder, key);
    const record = await this.#record(route, holder, key);
    const now = this.#deps.clock.now();
    const freshness = record === undefined ? 'expired' : judge(record, route.policy, false, now);
    if (record !== undefined && freshness === 'fresh')
      return listed(record, { outcome: 'hit', ttlSeconds: ttlSeconds(record, route.policy, now) }, []);
    if (record !== undefined && freshness === 'backoff') return this.#stale(ask, record, []);
    const absence = this.#deps.absences.get(`${keyOf(route)} ${holder} ${key}`);
    if (absence !== undefined && record !== undefined && isKept(route, absence)) return this.#stale(ask, record, [], GONE);
    if (absence !== undefined) return { ...absence, remembered: true };
    return this.#ask(ask, holder, record);
  }

  async #ask(ask: ListAsk, holder: string, record: ListingRecord | undefined): Promise<Listed | Refusal> {
    const { route, key, trace } = ask;
    const asked = this.#asks.ask(`${keyOf(route)} ${holder} ${key}`, (signal) => this.#fetch(ask, holder, signal), route.via);
    const stale = record !== undefined && mayBeStale(record, route.policy, this.#deps.clock.now());
    const answer = stale ? await within(this.#deps.clock, asked, STALE_WAIT_MS) : await asked;
    const value = answer?.value ?? ({ kind: 'unreachable', timeout: true, tried: [] } as const);
    noteTried(trace, value.tried, value.kind === 'listed' && 'upstream' in value.source ? value.source.upstream : undefined);
    if (value.kind === 'absent' && record !== undefined) return this.#gone(ask, holder, record, value);
    if (value.kind === 'listed' || !stale || value.kind === 'absent' || value.kind === 'denied') return value;
    await this.#keep(holder, key, { ...record, failed: this.#deps.clock.now() });
    return this.#stale(ask, record, value.tried);
  }

  /** What an offline route has of it, whatever its age. */
  async #held(route: Route, holder: string, key: string): Promise<Listed | Refusal> {
    const record = await readable(this.#deps.report, () => this.#shown(route, holder, key));
    return record === undefined ? OFFLINE : listed(record, { outcome: 'hit' }, []);
  }

  /** The whole chain no longer knows it (`ondelete`). */
  async #gone(ask: ListAsk, holder: string, record: ListingRecord, absence: Absence): Promise<Listed | Absence> {
    if (isKept(ask.route, absence)) return this.#stale(ask, record, absence.tried, GONE);
    try {
      await this.#deps.records.dropListing(holder, ask.key);
    } catch (error) {
      this.#deps.report({ kind: 'bypass', reason: 'metadata', error }); // It is asked about again, and then forgotten.
    }
    return absence;
  }

  async #fetch({ route, request, key }: ListAsk, holder: string, signal: AbortSignal): Promise<Listed | Refusal> {
    const result = await askChain(
      this.#deps.clock,
      {
        chain: route.order(request.registry, 'tag'),
        request,
        signal,
        deadlineMs: CHAIN_DEADLINE_MS,
        hedge: route.policy.hedgeTags,
      },
      async (answer, upstream) => ({ text: await readText(answer, upstream.name), answer }),
    );
    if (result.kind === 'absent')
      this.#deps.absences.remember(`${keyOf(route)} ${holder} ${key}`, result, route.policy.negativeTtlMs);
    if (result.kind !== 'found') return result;
    const { text, answer } = result.value;
    const record: ListingRecord = {
      body: text,
      headers: {
        ...(answer.next === undefined ? {} : { next: new URLSearchParams(answer.next).toString() }),
        ...(answer.filtersApplied === undefined ? {} : { filtersApplied: answer.filtersApplied }),
      },
      checked: askedAt(this.#deps.clock, result.asked),
      upstream: result.upstream.name,
      needed: neededFor(route, answer.anonymous),
    };
    const stored = await this.#keep(holder, key, record);
    return listed(record, { outcome: 'miss', upstream: record.upstream, stored }, result.tried);
  }

  /** What was told to our account is not told to everybody. */
  async #shown(route: Route, holder: string, key: string): Promise<ListingRecord | undefined> {
    const record = await this.#deps.records.listing(holder, key);
    return record !== undefined && grants(route, record) === true ? record : undefined;
  }

  async #record(route: Route, holder: string, key: string): Promise<ListingRecord | undefined> {
    try {
      return await this.#shown(route, holder, key);
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

  #stale({ route }: ListAsk, record: ListingRecord, tried: readonly Tried[], why = UNASKED): Listed {
    const seconds = ttlSeconds(record, route.policy, this.#deps.clock.now());
    return listed(record, { outcome: 'stale', ttlSeconds: seconds, why }, tried);
  }
}

const UNASKED = 'stale: no upstream could be asked';
const GONE = 'the list is gone upstream';

function isKept({ policy }: Route, absence: Absence): boolean {
  return policy.onDelete === 'keep' || !isCertain(absence);
}

function listed({ body, headers }: ListingRecord, source: Source, tried: readonly Tried[]): Listed {
  const { next, filtersApplied } = headers;
  const query = next === undefined ? undefined : Object.fromEntries(new URLSearchParams(next));
  return { kind: 'listed', body, next: query, filtersApplied, source, tried };
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
      chunks.push(new Uint8Array(chunk));
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
