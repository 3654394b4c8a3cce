import type { Pseudonym } from '../oci/via.ts';
import type { Clock } from '../system/clock.ts';
import { systemRandom, type Random } from '../system/random.ts';
import { repositoryAt, type Address } from './address.ts';
import { createAsk, type Ask } from './ask.ts';
import { createBudgets, type Budgets } from './budget.ts';
import { bodyLimits } from './body.ts';
import type { TlsOptions } from './connect.ts';
import type { CredentialsProvider } from './credentials.ts';
import type { Report } from './events.ts';
import { createExchange } from './exchange.ts';
import { budgetOf, leftOf, type Face } from './face.ts';
import { toUpstreamError } from './failure.ts';
import { createGuard, listedHost, normalHost, ownPlaceOf, type Guard, type Resolve } from './guard.ts';
import { withObservation } from './observed.ts';
import { proxyFor, type ProxyEnvironment, type ProxySetting } from './proxy.ts';
import { createUpstreamBody } from './reading.ts';
import { createResolve } from './resolve.ts';
import { createSignIn, type SignIn } from './sign-in.ts';
import { createTokens } from './tokens.ts';
import { createTransport, type Transport } from './transport.ts';
import { UpstreamError, type Upstream } from './upstream.ts';
import { createLatency } from './latency.ts';
import { Breaker } from './breaker.ts';
import { createPace, type Pace } from './pace.ts';
import { createProbe } from './probe.ts';
import { createSlots, type Slots } from './slots.ts';
import { withBandwidth } from './with-bandwidth.ts';
import { withBreaker } from './with-breaker.ts';
import { withLatency } from './with-latency.ts';
import { orLimited, withConcurrency } from './with-concurrency.ts';
import { createPause, unlessPaused, withPause } from './with-pause.ts';
import { createProcessMemory, memoryOf, withQuota, type Memory } from './with-quota.ts';

/** One upstream of the configuration. Everything but name and url has the contract's default. */
export interface UpstreamOptions {
  readonly name: string;
  /** http or https; a path in it stands before `/v2/`. */
  readonly url: URL;
  /** Put before every repository (`hub-proxy`); `{registry}` in it becomes the registry. */
  readonly path?: string;
  /** Sends `?ns=REGISTRY`. */
  readonly ns?: boolean;
  readonly credentials?: CredentialsProvider;
  /** Tells their account from another that the upstream had before, which has spent what it had. No secret: it is kept. */
  readonly payer?: string;
  /** `quota`, the default: credentials pay and unlock nothing. */
  readonly use?: 'quota' | 'all';
  /** Added to every request to the upstream's own origin, by lower-case name. What they unlock counts as private. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly tls?: TlsOptions;
  readonly timeouts?: { readonly connectMs?: number; readonly headersMs?: number; readonly stallMs?: number };
  /** Requests at once. */
  readonly concurrency?: number;
  /** Requests per second; default: no limit. */
  readonly rate?: number | undefined;
  /** Bytes per second, of all bodies together; default: no limit. */
  readonly bandwidth?: number | undefined;
  /** Milliseconds between questions whether it is there; default: only requests tell. */
  readonly checkMs?: number | undefined;
  /** Where its realm may lead, and credentials with it: `host` or `host:port`. */
  readonly tokenHosts?: readonly string[];
  /** Where a public upstream's redirects may lead although the address is private. */
  readonly redirectHosts?: readonly string[];
  readonly proxy?: ProxySetting;
  /** `names.allow`. */
  readonly allow?: readonly string[];
  /** `names.self`: never dialled. */
  readonly self?: readonly string[];
  /** True for `origin`: even its own address must be public, or allowed. */
  readonly publicOnly?: boolean;
  /** `entrepot/<version>`. */
  readonly userAgent?: string;
  /** As which this mirror signs its requests (`Via`). */
  readonly pseudonym?: Pseudonym | undefined;
  /** `authttl`. */
  readonly proofMs?: number;
}

export interface UpstreamDeps {
  readonly clock: Clock;
  readonly random?: Random;
  readonly report?: Report;
  readonly memory?: Memory;
  /** Shared by all upstreams, of which several may draw on one account; default: its own. */
  readonly budgets?: Budgets;
  /** The environment's proxy variables; default: none. */
  readonly env?: ProxyEnvironment;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
}

/** An upstream with a second face. */
export interface RegistryUpstream extends Upstream {
  /**
   * The same upstream without credentials, to stand at the end of a chain (contract, "Our own credentials refused"). While
   * the credentials are not known to be refused it answers `absent` without asking, which changes nothing behind the
   * upstream itself. `undefined` where there are no credentials, or they unlock (`use: all`).
   */
  withoutCredentials(): Upstream | undefined;
}

const USER_AGENT = 'entrepot';

const DEFAULTS = { connectMs: 3000, headersMs: 10_000, stallMs: 15_000, concurrency: 32, proofMs: 15 * 60_000 } as const;

/** Opens nothing until it is asked. */
export function createUpstream(options: UpstreamOptions, deps: UpstreamDeps): RegistryUpstream {
  const { name } = options;
  const { clock } = deps;
  const observed: Observed = { lastError: undefined };
  const report: Report = deps.report ?? (() => undefined);
  const transport = transportOf(options, deps);
  const observing = { upstream: name, clock, report };
  const withoutBudget = withObservation(transport, observing);
  const tokens = createTokens((request, signal) => withoutBudget.send(request, signal), clock);
  const signInWith = (credentials: CredentialsProvider): SignIn =>
    createSignIn({
      upstream: name,
      url: options.url,
      credentials,
      tokenHosts: options.tokenHosts ?? [],
      tokens,
      clock,
      report,
    });

  const slots = slotsOf(options, clock);
  const bandwidth = paceOf(options.bandwidth, 0, clock);
  const explained = <T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> =>
    explain(work, signal, { options, report, observed });
  const probe = createProbe({
    upstream: name,
    url: options.url,
    headers: options.headers ?? {},
    userAgent: options.userAgent ?? USER_AGENT,
    transport: withoutBudget,
  });
  const breaker = new Breaker({
    upstream: name,
    clock,
    random: deps.random ?? systemRandom,
    report,
    probe: (signal) => explained(() => probe(signal), signal),
    checkMs: options.checkMs,
  });
  const latency = createLatency();
  const turnedAway = ({ message }: Error): void =>
    report({ kind: 'upstream-error', upstream: name, reason: 'ratelimit', message });
  const wrapped = ({ signIn, pause, budget, isShown }: Face): Ask => {
    const ask = createAsk({
      upstream: name,
      address: addressOf(options),
      exchange: createExchange({
        upstream: name,
        transport: withObservation(transport, { ...observing, budget: { host: options.url.host, budget, isShown } }),
        signIn,
        headers: options.headers ?? {},
        anonymousWithoutPass: opensNothing(options),
      }),
      userAgent: options.userAgent ?? USER_AGENT,
      pseudonym: options.pseudonym,
      unlocks: options.use === 'all',
      clock,
      wrapBody(body, what, host, signal) {
        const read = createUpstreamBody(body, name, what, host, report, signal);
        return bandwidth === undefined ? read : withBandwidth(read, bandwidth, clock, signal);
      },
    });
    const asked: Ask = (request, signal) => explained(() => ask(request, signal), signal);
    // Looked at again behind the queue: who waited there must not ask what is spent by now.
    const limited = withConcurrency(withPause(asked, pause), slots);
    return unlessPaused(orLimited(withBreaker(withLatency(limited, clock, latency), breaker), turnedAway), pause);
  };

  const isQuota = options.credentials !== undefined && options.use !== 'all';
  // The name may be given to another address, of which nothing is known then: neither who may read there, nor what is spent.
  const memory = memoryOf(`${options.url.href} ${options.path ?? ''}`, deps.memory ?? createProcessMemory());
  const budgets = deps.budgets ?? createBudgets(clock);
  const face = (who: string, credentials: CredentialsProvider, isShown: () => boolean): Face => ({
    signIn: signInWith(credentials),
    pause: createPause({ clock, memory, key: `${name} ${who}` }),
    budget: budgets.of(options.url.host, `${name} ${who}`),
    isShown,
  });
  // An account that is refused pays for nothing any more: then what counts is what the address has left.
  const isPaying = (): boolean => signIn.valid() !== false || !isQuota;
  const account = face(
    options.credentials === undefined ? 'anonymous' : `account ${options.payer ?? ''}`,
    options.credentials ?? anonymously,
    isPaying,
  );
  const address = face('anonymous', anonymously, () => !isPaying());
  const { signIn } = account;
  const signed = wrapped(account);
  const anonymous = wrapped(address);
  const ask = isQuota ? withQuota({ signed, anonymous, clock, memory, proofMs: options.proofMs ?? DEFAULTS.proofMs }) : signed;

  const upstream: Upstream = {
    name,
    ask,
    status: () => ({
      name,
      url: shownUrl(options.url),
      up: breaker.isClosed(),
      latencyMs: latency.average(),
      credentialsValid: signIn.valid(),
      lastError: observed.lastError,
      ...budgetOf(isPaying() ? account : address),
      running: slots.running(),
    }),
    standing: () => ({
      up: breaker.isOffered(),
      latencyMs: latency.average(),
      usualMs: latency.usual(),
      busy: slots.busy(),
      budget: leftOf(isPaying() ? account : address),
    }),
    close() {
      breaker.stop();
      return transport.close();
    },
  };
  const fallback: Upstream = {
    ...upstream,
    ask: async (request, signal) =>
      (await signIn.isRefused(repositoryAt(addressOf(options), request), signal))
        ? await anonymous(request, signal)
        : { kind: 'absent' },
  };
  return { ...upstream, withoutCredentials: () => (isQuota ? fallback : undefined) };
}

interface Observed {
  lastError: string | undefined;
}

/** A second's worth of requests may go at once. */
function slotsOf({ name, concurrency = DEFAULTS.concurrency, rate = 0 }: UpstreamOptions, clock: Clock): Slots {
  return createSlots({ upstream: name, clock, count: concurrency, pace: paceOf(rate, Math.max(0, rate - 1), clock) });
}

function paceOf(perSecond = 0, slack: number, clock: Clock): Pace | undefined {
  return perSecond === 0 ? undefined : createPace(clock, { perSecond, slack });
}

async function anonymously(): Promise<undefined> {
  return undefined;
}

function addressOf(options: UpstreamOptions): Address {
  return { url: options.url, path: options.path ?? '', ns: options.ns ?? false };
}

/** Headers of the configuration and client certificates open doors as a password does. */
function opensNothing(options: UpstreamOptions): boolean {
  return Object.keys(options.headers ?? {}).length === 0 && options.tls?.certificate === undefined;
}

function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname === '/' ? '' : url.pathname}`;
}

function transportOf(options: UpstreamOptions, deps: UpstreamDeps): Transport {
  return createTransport({
    clock: deps.clock,
    guard: guardOf(options, deps),
    connectMs: options.timeouts?.connectMs ?? DEFAULTS.connectMs,
    headersMs: options.timeouts?.headersMs ?? DEFAULTS.headersMs,
    body: bodyLimits(options.timeouts?.stallMs ?? DEFAULTS.stallMs),
    tls: options.tls ?? {},
    ownHost: normalHost(options.url.hostname),
    proxyFor: (target) => proxyFor(options.proxy ?? 'environment', deps.env ?? {}, target),
  });
}

/**
 * A configured upstream may be at any address. Where its own is private, it may lead to private ones too; where it is
 * public, only to those that are listed. `origin` may be at public ones alone.
 */
function guardOf(options: UpstreamOptions, deps: UpstreamDeps): Guard {
  const own = normalHost(options.url.hostname);
  const listed = new Set([...(options.redirectHosts ?? []), ...(options.tokenHosts ?? [])].map((entry) => listedHost(entry)));
  const place = ownPlaceOf(own);
  return createGuard({
    trusts: (hostname) => listed.has(hostname) || (!options.publicOnly && (hostname === own || place.isPrivate())),
    allow: options.allow ?? [],
    never: options.self ?? [],
    seen: place.seen,
    resolve: createResolve(deps.clock, deps.resolve),
  });
}

/** Whatever goes wrong leaves as UpstreamError, reported and remembered; a caller's abort keeps its own reason. */
async function explain<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  of: { readonly options: UpstreamOptions; readonly report: Report; readonly observed: Observed },
): Promise<T> {
  const { name, url } = of.options;
  try {
    return await work();
  } catch (error) {
    if (signal.aborted && !(error instanceof UpstreamError)) throw error;
    const failure = toUpstreamError(name, url.host, error, 'answer');
    of.observed.lastError = failure.message;
    of.report({ kind: 'upstream-error', upstream: name, reason: failure.reason, message: failure.message });
    throw failure;
  }
}
