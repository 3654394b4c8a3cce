/**
 * What the rooms report, as this room reads it: declared by shape, since `observe` imports nobody. compose.ts hands every
 * room's `report` the one function of report.ts, and the compiler holds the two together.
 */
export type HouseEvent =
  | HttpEvent
  | PullEvent
  | PushEvent
  | UpstreamEvent
  | NotificationEvent
  | CollectEvent
  | EvictionEvent
  | ScrubReport
  | OfficialEvent
  | AuthEvent
  | AdmissionEvent
  | ServerEvent;

/** The shape of `http/events.ts`. */
export type HttpEvent = RequestStarted | RequestEvent | RequestFault | RequestUnreadable;

/** A request has found its handler; each is followed by one `request`. */
export interface RequestStarted {
  readonly kind: 'request started';
  /** The name of what answers: one of a fixed list, so that it may be a label. */
  readonly handler: string;
}

/** A request that failed on our side, which is no expected refusal. */
export interface RequestFault {
  readonly kind: 'fault';
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly error: unknown;
}

/** Bytes that are no HTTP request, or none in time. */
export interface RequestUnreadable {
  readonly kind: 'unreadable';
  readonly client: string;
  readonly status: number;
  readonly reason: string;
}

/** One request, when its answer has ended one way or another. */
export interface RequestEvent {
  readonly kind: 'request';
  readonly trace: RequestTrace;
  readonly handler: string;
  /** The address that is believed, after `trustedproxies`. */
  readonly client: string;
  /** One of a fixed list: `docker`, `containerd` … */
  readonly clientKind: string;
  /** Who asked: `user:ann`, `token:ci`; `undefined` where nobody said. */
  readonly user: string | undefined;
  /** Whose limit refused it; told of each once a minute. */
  readonly limited?: 'address' | 'account' | undefined;
  readonly userAgent: string | undefined;
  /** As the client sent it. */
  readonly host: string | undefined;
  readonly publicAddress: () => string | undefined;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly status: number;
  /** Of the body, as far as it was sent. */
  readonly bytes: number;
  /** From the request's arrival to its answer's first byte; `undefined` when there was none. */
  readonly firstByteMs: number | undefined;
  readonly ms: number;
  /** The client left, or was cut, before the end. */
  readonly aborted: boolean;
}

/** The shape of `pull/trace.ts`. */
export interface RequestTrace {
  readonly requestId: string;
  readonly registry: string | undefined;
  readonly repository: string | undefined;
  readonly reference: string | undefined;
  readonly digest: string | undefined;
  readonly type: 'manifest' | 'blob' | undefined;
  readonly route: string | undefined;
  readonly outcome: Outcome | undefined;
  readonly upstream: string | undefined;
  readonly tried: readonly {
    readonly upstream: string;
    readonly error: string;
    readonly ms: number;
  }[];
  readonly size: number | undefined;
  readonly ageSeconds: number | undefined;
  readonly notLetIn?: { readonly judge: string; readonly reason: string } | undefined;
}

export type Outcome = 'hit' | 'miss' | 'collapsed' | 'revalidated' | 'stale' | 'negative' | 'bypass' | 'denied' | 'error';

/** The shape of `pull/events.ts`. */
export type PullEvent =
  | { readonly kind: 'fill-started'; readonly registry: string; readonly digest: string }
  | {
      readonly kind: 'fill-ended';
      readonly registry: string;
      readonly digest: string;
      readonly outcome: 'done' | 'failed' | 'bypass' | 'parked';
      readonly bytes: number;
      readonly ms: number;
    }
  | { readonly kind: 'fill-followers'; readonly count: number }
  | {
      readonly kind: 'resumed';
      readonly upstream: string;
      readonly digest: string;
      readonly from: number;
    }
  | {
      readonly kind: 'verify-failed';
      readonly upstream: string;
      readonly digest: string;
      readonly whole: boolean;
    }
  | { readonly kind: 'quarantined'; readonly digest: string; readonly why: string }
  | {
      readonly kind: 'tag-moved';
      readonly repository: string;
      readonly tag: string;
      readonly from: string;
      readonly to: string;
    }
  | { readonly kind: 'bypass'; readonly reason: 'storage' | 'metadata' | 'room'; readonly error: unknown }
  | { readonly kind: 'kept'; readonly digest: string; readonly bytes: number }
  /** That part works again. */
  /** Trouble that a look found, without a request that suffered. */
  | { readonly kind: 'degraded'; readonly reason: 'storage' | 'metadata' | 'audit'; readonly error: unknown }
  | { readonly kind: 'recovered'; readonly reason: 'storage' | 'metadata' | 'audit' };

/** What `push/events.ts` tells beside what pulls tell too. */
export type PushEvent =
  | { readonly kind: 'push-failed'; readonly reason: 'storage' | 'metadata'; readonly error: unknown }
  | { readonly kind: 'uploads-purged'; readonly uploads: number; readonly bytes: number; readonly dryRun: boolean };

/** The shape of `upstream/events.ts`. */
export type UpstreamEvent =
  | {
      readonly kind: 'upstream-request';
      readonly upstream: string;
      readonly what: UpstreamExchange;
      readonly status: number;
      readonly ms: number;
    }
  | {
      readonly kind: 'upstream-error';
      readonly upstream: string;
      readonly reason: string;
      readonly message: string;
    }
  | {
      readonly kind: 'upstream-bytes';
      readonly upstream: string;
      readonly bytes: number;
      readonly what: UpstreamExchange;
    }
  | {
      readonly kind: 'upstream-down';
      readonly upstream: string;
      readonly message: string;
      readonly ms: number;
    }
  | { readonly kind: 'upstream-up'; readonly upstream: string }
  | { readonly kind: 'credentials-refused'; readonly upstream: string; readonly message: string }
  | { readonly kind: 'credentials-accepted'; readonly upstream: string }
  | {
      readonly kind: 'ratelimit';
      readonly upstream: string;
      readonly limit: number | undefined;
      readonly remaining: number | undefined;
      readonly limited: boolean;
      readonly us: number;
      readonly others: number;
    };

export type UpstreamExchange = 'manifest' | 'blob' | 'tags' | 'referrers' | 'token' | 'ping';

/** The shape of `events/events.ts`. */
export type NotificationEvent =
  | { readonly kind: 'notifications-taken'; readonly endpoint: string; readonly count: number }
  | { readonly kind: 'notifications-dropped'; readonly endpoint: string; readonly count: number }
  | { readonly kind: 'notification-answered'; readonly endpoint: string; readonly status: number; readonly accepted: boolean }
  | { readonly kind: 'notification-unanswered'; readonly endpoint: string; readonly error: unknown }
  | { readonly kind: 'notifications-unreachable'; readonly error: unknown };

/** The shape of `evict/events.ts`: a collection has ended. With `dryRun` all of it only would have gone. */
export interface CollectEvent {
  readonly kind: 'collected';
  readonly dryRun: boolean;
  /** When it ended, ms since the epoch. */
  readonly at: number;
  readonly ms: number;
  readonly repositories: number;
  readonly unreadable: number;
  readonly tags: number;
  readonly manifests: number;
  readonly links: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly uploads: number;
}

/** The shape of `evict/events.ts`: cached bytes that went, to make room, for their age, or because somebody asked for it. */
export type EvictionEvent =
  | {
      readonly kind: 'evicted';
      readonly why: 'limit' | 'maxage' | 'asked';
      /** When the round ended, ms since the epoch. */
      readonly at: number;
      readonly blobs: number;
      readonly bytes: number;
      /** Of what went last, since its last use. */
      readonly idleMs: number;
      readonly ms: number;
    }
  /** What is too much, and may not go. */
  | { readonly kind: 'evict-stuck'; readonly bytes: number; readonly files: number }
  | { readonly kind: 'evict-failed'; readonly error: unknown };

/** The shape of `evict/scrub-events.ts`; `quarantined` is among what pulls tell. */
export type ScrubReport =
  | ScrubEvent
  | { readonly kind: 'scrubbed-before'; readonly at: number }
  | { readonly kind: 'scrub-failed'; readonly error: unknown };

/** A round of reading all that is held through has ended. */
export interface ScrubEvent {
  readonly kind: 'scrubbed';
  /** Without it what was damaged was only told of. */
  readonly repair: boolean;
  /** When it ended, ms since the epoch. */
  readonly at: number;
  readonly ms: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly damaged: number;
  readonly repaired: number;
  readonly orphans: number;
}

/** The shape of `official/events.ts`. */
export type OfficialEvent =
  | { readonly kind: 'official-found'; readonly directory: string; readonly served: boolean }
  | { readonly kind: 'official-refused'; readonly repository: string; readonly reference: string; readonly why: string }
  | { readonly kind: 'official-failed'; readonly repository: string; readonly reference: string; readonly error: unknown };

/** What is reloaded by itself; absent: the configuration. */
export type ReloadedPart = 'certificate';

/** What happens to the process as a whole. */
export type ServerEvent =
  | {
      readonly kind: 'listening';
      /** `127.0.0.1:5000`, by listener. */
      readonly addresses: Readonly<Record<string, string>>;
      /** The file, or what else the configuration came from. */
      readonly config: string;
      readonly rootdirectory: string;
      readonly version: string;
    }
  /** `restart` names the keys that changed and wait for a restart. */
  | { readonly kind: 'reloaded'; readonly part?: ReloadedPart; readonly config: string; readonly restart: readonly string[] }
  /** What was there before stays in force. */
  | { readonly kind: 'reload-failed'; readonly part?: ReloadedPart; readonly config: string; readonly message: string }
  /** What is known of a certificate of ours; told again and again. `expires`: ms since the epoch. */
  | {
      readonly kind: 'certificate';
      readonly name: string;
      readonly expires: number;
      readonly left: 'enough' | 'little' | 'none';
    }
  /** Who can reach the address can read what is sent. */
  | { readonly kind: 'plain-http'; readonly address: string }
  | { readonly kind: 'draining'; readonly requests: number };

/** The shapes of `auth/events.ts` and of `auth/htpasswd-users.ts`. */
export type AuthEvent =
  | {
      readonly kind: 'sign-in';
      /** One of a fixed list, so that it may be a label. */
      readonly way: string;
      readonly result: 'ok' | 'refused' | 'limited';
      readonly requestId: string;
      readonly client: string;
      /** Of a user there is. */
      readonly user: string | undefined;
    }
  | {
      readonly kind: 'denied';
      readonly action: 'pull' | 'push' | 'delete';
      readonly reason: string;
      readonly requestId: string;
      readonly client: string;
      readonly subject: string;
      readonly holder: string | undefined;
      readonly reference: string | undefined;
    }
  | { readonly kind: 'htpasswd-read'; readonly path: string; readonly users: number; readonly warnings: readonly string[] }
  | { readonly kind: 'htpasswd-wrong'; readonly path: string; readonly faults: readonly string[] };

/** The shape of `admission/events.ts`. `judge`: a route key, of a fixed list; `fingerprint` tells two of one name apart. */
export type AdmissionEvent = { readonly judge: string; readonly fingerprint: string } & (
  | {
      readonly kind: 'judged';
      readonly repository: string;
      readonly digest: string;
      readonly admitted: boolean;
      readonly reason: string;
    }
  | { readonly kind: 'judge-failed'; readonly error: unknown }
  | { readonly kind: 'judge-answers' }
  | { readonly kind: 'let-in-anyway'; readonly repository: string; readonly digest: string }
);
