import type { UpstreamErrorReason, UpstreamRequest } from './upstream.ts';

/** What an upstream reports as it works: counted by metrics, logged where the state changes. Never a secret, token or query. */
export type UpstreamEvent =
  /** One HTTP exchange, token requests among them; `status` is what was answered, `ms` the time to its headers. */
  | {
      readonly kind: 'upstream-request';
      readonly upstream: string;
      readonly what: ExchangeKind;
      readonly status: number;
      readonly ms: number;
    }
  /** One `ask`, or one body, that failed. */
  | {
      readonly kind: 'upstream-error';
      readonly upstream: string;
      readonly reason: UpstreamErrorReason;
      readonly message: string;
    }
  | {
      readonly kind: 'upstream-bytes';
      readonly upstream: string;
      readonly what: UpstreamRequest['kind'];
      readonly bytes: number;
    }
  /** The breaker opened; nothing is asked for `ms`. */
  | { readonly kind: 'upstream-down'; readonly upstream: string; readonly message: string; readonly ms: number }
  | { readonly kind: 'upstream-up'; readonly upstream: string }
  | { readonly kind: 'credentials-refused'; readonly upstream: string; readonly message: string }
  | { readonly kind: 'credentials-accepted'; readonly upstream: string }
  /** What the upstream said of its budget; `limited` when it answered 429. */
  | {
      readonly kind: 'ratelimit';
      readonly upstream: string;
      readonly limit: number | undefined;
      readonly remaining: number | undefined;
      readonly limited: boolean;
      /** Pulls that are now known to have been spent, by this house and by others behind the same account or address. */
      readonly us: number;
      readonly others: number;
    };

/** `ping`: whether it is there, asked on nobody's behalf. */
export type ExchangeKind = UpstreamRequest['kind'] | 'token' | 'ping';

export type Report = (event: UpstreamEvent) => void;
