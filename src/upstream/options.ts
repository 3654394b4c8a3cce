import type { Pseudonym } from '../oci/via.ts';
import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import type { Address } from './address.ts';
import type { Budgets } from './budget.ts';
import type { TlsOptions } from './connect.ts';
import type { CredentialsProvider } from './credentials.ts';
import type { Report } from './events.ts';
import type { Resolve } from './guard.ts';
import type { ProxyEnvironment, ProxySetting } from './proxy.ts';
import type { Memory } from './with-quota.ts';

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
  /** Processes that ask it as one: each has its part of what is limited, and one request at a time at least. Default: 1. */
  readonly sharers?: number;
}

export const DEFAULTS = {
  userAgent: 'entrepot',
  connectMs: 3000,
  headersMs: 10_000,
  stallMs: 15_000,
  concurrency: 32,
  proofMs: 15 * 60_000,
} as const;

export function addressOf({ url, path = '', ns = false }: UpstreamOptions): Address {
  return { url, path, ns };
}

/** Its credentials, if it has any, pay and unlock nothing. */
export function paysOnly({ credentials, use }: UpstreamOptions): boolean {
  return credentials !== undefined && use !== 'all';
}
