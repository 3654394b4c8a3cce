import type { Digest } from '../oci/digest.ts';
import type { AccessConfig, AuthConfig } from './auth-config.ts';
import type { Secret } from './secret.ts';

/**
 * The configuration as understood: file and environment merged, defaults in, secrets and certificates read, paths
 * absolute, `proxy` turned into an upstream and a route. Durations are milliseconds (`Infinity` is *forever*), sizes are
 * bytes. Plain data, never changed: a reload makes a new one.
 */
export interface Config {
  /** Where it was written; `undefined` when it came from the environment alone, or from nothing. */
  readonly file: string | undefined;
  /** What relative paths are relative to: the file's directory, or the working directory. */
  readonly directory: string;
  /**
   * `proxy`, `plain`: the official registry's mirror mode, and its other one: names are the path as it stands, under
   * `names.default`. `unconfigured`: nothing was said, so the well-known registries, for this machine only.
   */
  readonly mode: 'routes' | 'proxy' | 'plain' | 'unconfigured';
  readonly http: HttpConfig;
  readonly storage: StorageConfig;
  readonly cache: CacheConfig;
  readonly metadata: MetadataConfig;
  readonly names: NamesConfig;
  /** For `origin`; the longest prefix first. */
  readonly credentials: readonly CredentialConfig[];
  /** What `credentials` are for, as {@link UpstreamConfig.use}. */
  readonly originUse: UpstreamConfig['use'];
  /** By name, in the order in which they were written. */
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
  /** In order: the first whose patterns match decides. */
  readonly routes: readonly RouteConfig[];
  /** Registries that the configuration names or that are well known: what may be a metric label. */
  readonly registries: readonly string[];
  readonly log: LogConfig;
  readonly health: HealthConfig;
  readonly notifications: NotificationsConfig;
  readonly validation: ValidationConfig;
  /** `undefined`: nobody can sign in, but perhaps by certificate. */
  readonly auth: AuthConfig | undefined;
  readonly access: AccessConfig;
  readonly limits: LimitsConfig;
  readonly audit: AuditConfig;
  /** Processes that serve. `auto`: as many as there are processors. */
  readonly workers: number | 'auto';
  /** What was accepted without effect, each once, to be logged at start and printed by `check`. */
  readonly warnings: readonly string[];
  /** Files whose change asks for a reload (the configuration, secrets, certificates), and the fingerprint of what was read. */
  readonly watched: ReadonlyMap<string, string>;
  /** In the words of the file, with defaults in and secrets hidden: what `check` prints, and nobody else asks for. */
  readonly shown: () => unknown;
}

/** Where to listen; without a host on every address, IPv4 and IPv6. */
export interface Address {
  readonly host: string | undefined;
  /** 0 picks a free one. */
  readonly port: number;
}

export interface HttpConfig {
  readonly addr: Address;
  /** The public address, `https://mirror.example.test`, without a slash at its end. */
  readonly host: string | undefined;
  /** Addresses and CIDR blocks whose forwarded headers are believed. */
  readonly trustedproxies: readonly string[];
  /** Stands before every path: `/registry`; empty for none. */
  readonly prefix: string;
  /** Set on every answer; lower-case name → values. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** Absent: plain HTTP. */
  readonly tls: HttpTlsConfig | undefined;
  /** HTTP/2 is offered besides HTTP/1.1. */
  readonly http2: boolean;
  readonly debug: DebugConfig | undefined;
  readonly draintimeout: number;
  readonly stalltimeout: number;
}

/** How the main listener speaks TLS. Files are absolute paths, read again by it when they change. */
export interface HttpTlsConfig {
  readonly certificate: string;
  readonly key: string;
  /** Those who vouch for clients. */
  readonly clientcas: readonly string[];
  /** What clients must show; `undefined`: they are not asked. */
  readonly clientauth:
    | 'request-client-cert'
    | 'require-any-client-cert'
    | 'verify-client-cert-if-given'
    | 'require-and-verify-client-cert'
    | undefined;
  readonly minimum: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
  /** OpenSSL's names, for TLS 1.2 and older; `undefined`: Node's choice. */
  readonly ciphers: string | undefined;
}

export interface DebugConfig {
  readonly addr: Address;
  /** Where metrics are, `undefined` when they are switched off. */
  readonly metricsPath: string | undefined;
}

export interface StorageConfig {
  /** Absolute. */
  readonly rootdirectory: string;
  /** Clients may delete. */
  readonly delete: { readonly enabled: boolean };
  /** Nobody may push or delete, and no upload is dropped. */
  readonly readonly: boolean;
  /** Uploads that nobody goes on with. */
  readonly uploadpurging: {
    readonly enabled: boolean;
    readonly age: number;
    readonly interval: number;
    readonly dryrun: boolean;
  };
}

/** How much is kept of what can be fetched again. Shares are fractions of 1. */
export interface CacheConfig {
  readonly maxBytes: number | undefined;
  /** Of `maxBytes`; where there is none, of what is used on the disk. `low` is below `high`. */
  readonly watermarks: { readonly high: number; readonly low: number };
  /** Of the disk, and of its inodes. */
  readonly keepFree: number;
}

/** How much one client may ask for; `undefined`: as much as it likes. */
export interface LimitsConfig {
  readonly address: AllowanceConfig;
  readonly subject: AllowanceConfig;
  /** In progress at once. */
  readonly uploads: number | undefined;
}

export interface AllowanceConfig {
  readonly rate: { readonly perSecond: number; readonly burst: number } | undefined;
  /** Requests at once. */
  readonly concurrent: number | undefined;
}

export interface AuditConfig {
  /** Absolute; `-`: standard output; `undefined`: there is none. */
  readonly file: string | undefined;
}

/** What is asked of pushed manifests. */
export interface ValidationConfig {
  /** Which images of an index must be there. */
  readonly children: 'all' | 'none' | readonly { readonly os: string; readonly architecture: string }[];
  /** Which blobs of an image must be there. */
  readonly blobs: 'all' | 'none';
  /** URLs that layers may name: each matches one of `allow`, where there are any, and none of `deny`. `undefined`: any. */
  readonly urls: { readonly allow: readonly RegExp[]; readonly deny: readonly RegExp[] } | undefined;
}

export type MetadataConfig =
  /** `path` is absolute; `undefined` is the usual place within `rootdirectory`. */
  { readonly kind: 'lmdb'; readonly path: string | undefined } | { readonly kind: 'redis'; readonly redis: RedisConfig };

export interface RedisConfig {
  /** `host:port`, `[v6]:port`: one server, or several nodes of one Redis Cluster. */
  readonly addrs: readonly string[];
  readonly username: string | undefined;
  readonly password: Secret | undefined;
  readonly db: number;
  readonly tls: TlsConfig | undefined;
}

/** PEM texts, read from the files that were named. */
export interface TlsConfig {
  /** For an upstream beside the system's authorities, for Redis instead of them. */
  readonly ca: string | undefined;
  readonly certificate: string | undefined;
  readonly key: Secret | undefined;
  readonly skipverify: boolean;
}

export interface NamesConfig {
  readonly default: string;
  readonly self: readonly string[];
  /** Host → registry; `*.suffix` → registry, or `*` for the labels before the suffix. */
  readonly hosts: ReadonlyMap<string, string>;
  readonly prefixes: ReadonlyMap<string, string>;
  readonly aliases: ReadonlyMap<string, string>;
  /** Hosts, with or without a port, on which nobody is challenged. */
  readonly open: readonly string[];
  /** Hosts, addresses and CIDR blocks that `origin` may dial although they are private, on any port. */
  readonly allow: readonly string[];
  /** In mode `proxy`: the one registry that is served; another one's name is 404. */
  readonly only: string | undefined;
}

/** A secret that is written, or a file (absolute) that is read by whoever needs it, and again when it changes. */
export type SecretText = Secret | { readonly file: string };

/** How to sign in somewhere; plain data, of which `compose` makes what does it. */
export type Account =
  | { readonly kind: 'password'; readonly username: string; readonly password: SecretText }
  /** Sent as it is. */
  | { readonly kind: 'bearer'; readonly token: SecretText }
  /** docker's `identitytoken`, to be exchanged at the token endpoint. */
  | { readonly kind: 'identity'; readonly username: string; readonly token: SecretText }
  /** What a docker config.json (absolute path) says of `name`, a registry or a part of one. */
  | { readonly kind: 'docker'; readonly file: string; readonly name: string }
  /** `docker-credential-NAME`, asked for `name`. */
  | { readonly kind: 'helper'; readonly helper: string; readonly name: string }
  | { readonly kind: 'ecr'; readonly region: string; readonly endpoint: string | undefined }
  /** Without a key file (absolute), the metadata server. */
  | { readonly kind: 'gcp'; readonly keyfile: string | undefined }
  /** With a secret a service principal, with a token file (absolute) a workload identity, else as the environment says. */
  | {
      readonly kind: 'acr';
      readonly tenant: string | undefined;
      readonly clientid: string | undefined;
      readonly secret: SecretText | undefined;
      readonly tokenfile: string | undefined;
      readonly authority: string | undefined;
    };

export interface CredentialConfig {
  /** `docker.io`, `ghcr.io/acme`: whole segments of `registry/repository`. */
  readonly prefix: string;
  readonly account: Account;
}

export interface UpstreamConfig {
  /** Metric label and Cache-Status detail. */
  readonly name: string;
  /** http or https, without a slash at its end. */
  readonly url: string;
  /** Stands before every repository behind `/v2/`: `hub-proxy`, `mirror/{registry}`; empty for none. */
  readonly path: string;
  readonly account: Account | undefined;
  /** `quota`: the account pays for the rate limit and unlocks nothing; `all`: it unlocks too. */
  readonly use: 'quota' | 'all';
  /** Sent with every request to the upstream itself. */
  readonly headers: ReadonlyMap<string, Secret>;
  readonly tls: TlsConfig | undefined;
  readonly timeout: { readonly connect: number; readonly headers: number; readonly stall: number };
  /** Requests at once. */
  readonly concurrency: number;
  /** Requests per second; `undefined`: as many as come. */
  readonly rate: number | undefined;
  /** Bytes per second, of all its bodies together. */
  readonly bandwidth: number | undefined;
  /** Milliseconds between questions for its `/v2/`; `undefined`: none are asked while it is up. */
  readonly check: number | undefined;
  /** Its share where a route's balance is `weighted`. */
  readonly weight: number;
  /** Hosts (`auth.example.test`, with or without a port) to which its realm may point beyond its own domain. */
  readonly tokenhosts: readonly string[];
  /** Hosts to which its redirects may lead although their addresses are private. */
  readonly redirecthosts: readonly string[];
  /** Sends `?ns=`. */
  readonly ns: boolean;
  /** The way out: `undefined` as the environment says (HTTPS_PROXY …), `none`, or the proxy's URL, which may hold a password. */
  readonly proxy: Secret | 'none' | undefined;
}

export interface RouteConfig {
  /** Metric label. */
  readonly name: string;
  /** Patterns over `registry/repository`, `well-known` spelt out. */
  readonly match: readonly string[];
  /** Names of upstreams in order, `origin` and `hosted` among them; empty where `deny`, and perhaps where `offline`. */
  readonly upstreams: readonly string[];
  readonly deny: boolean;
  /** Clients may push; then `hosted` is among the upstreams. */
  readonly push: boolean;
  /** They may push under a name that the rest of the chain answers. */
  readonly shadow: boolean;
  /** Its only upstream shows each client what that client may read, by the client's own credentials. */
  readonly passthrough: boolean;
  readonly policy: RoutePolicyConfig;
  /** `config.yml:12`, for `check` and `explain`. */
  readonly at: string;
}

/** Exactly one of `keep`, `unpulled` (ms) and `newest` is there. */
export interface RetentionConfig {
  readonly match: readonly string[];
  readonly keep?: 'forever' | undefined;
  readonly unpulled?: number | undefined;
  readonly newest?: number | undefined;
}

export interface RoutePolicyConfig {
  readonly balance: 'failover' | 'round-robin' | 'weighted' | 'least-latency' | 'budget';
  /** Its upstreams hold the same tags. */
  readonly replicas: boolean;
  /** The next upstream is asked beside a slow one. */
  readonly hedge: boolean;
  /** Pulls that are kept for what is not held; 0: none. */
  readonly ratelimit: { readonly reserve: number };
  /** Ranges of a large blob that are fetched at once. */
  readonly parallel: number;
  /** Patterns of tags that never move. */
  readonly immutable: readonly string[];
  /** The first line that matches a tag decides whether a collection takes it. */
  readonly retention: readonly RetentionConfig[];
  /** Bytes that may be pushed to all repositories of the route together; `undefined`: no limit. */
  readonly quota?: number | undefined;
  /** Since its last use, at least a minute; `undefined`: nothing goes for its age. */
  readonly maxAgeMs: number | undefined;
  /** Patterns over `registry/repository` or `registry/repository:tag`: never evicted. */
  readonly pin: readonly string[];
  readonly tagttl: number;
  readonly stale: number;
  readonly negativettl: number;
  readonly retry: number;
  readonly authttl: number;
  readonly ondelete: 'keep' | 'drop';
  /** Nobody is asked. True for every route where the whole configuration is offline. */
  readonly offline: boolean;
  readonly prefetch: 'none' | 'layers';
  /** `linux/amd64`, `linux/arm64/v8`: which children of an index are fetched in the background. */
  readonly platforms: readonly string[];
  /** Tags are answered as they stood then, ms since the epoch; `undefined`: as they stand. */
  readonly asof?: number | undefined;
  /** How long a digest has to have stood under its tag, ms; 0: for no time. */
  readonly cooldown: number;
  /** Whose signature content has to carry; `undefined`: nobody's. */
  readonly signed?: SignedConfig | undefined;
  readonly digests?: DigestsConfig | undefined;
  readonly admit?: AdmitConfig | undefined;
}

/** Texts of the files that are named; one key or identity at least. */
export interface SignedConfig {
  /** Public keys, PEM. */
  readonly keys: readonly string[];
  readonly identities: readonly { readonly issuer: string; readonly subject: string }[];
  /** `trusted_root.json`; there where there are identities. */
  readonly trustedRoot: string | undefined;
}

/** What may be served, by digest. */
export interface DigestsConfig {
  /** Only these manifests, and what they name; never empty. `undefined`: all but what is denied. */
  readonly allow?: readonly Digest[] | undefined;
  readonly deny: readonly Digest[];
}

/** Who is asked what may be served. */
export interface AdmitConfig {
  readonly url: Secret;
  /** Milliseconds. */
  readonly timeout: number;
  readonly onerror: 'allow' | 'deny';
}

export interface LogConfig {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  /** `undefined`: text on a terminal, else JSON. */
  readonly formatter: 'text' | 'json' | undefined;
  /** Added to every record. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** One record a request. */
  readonly accesslog: boolean;
}

interface CheckConfig {
  readonly interval: number;
  /** Failures in a row before it counts. */
  readonly threshold: number;
}

/** The checks of `/debug/health`, as the official registry's. */
export interface HealthConfig {
  readonly storagedriver: CheckConfig | undefined;
  /** Unhealthy while the file exists; absolute. */
  readonly file: readonly (CheckConfig & { readonly file: string })[];
  readonly http: readonly (CheckConfig & {
    readonly uri: Secret;
    readonly headers: ReadonlyMap<string, readonly Secret[]>;
    readonly statuscode: number;
    readonly timeout: number;
  })[];
  readonly tcp: readonly (CheckConfig & {
    readonly addr: { readonly host: string; readonly port: number };
    readonly timeout: number;
  })[];
}

/** Who is told of what happens, as the official registry tells. */
export interface NotificationsConfig {
  /** Also what a manifest refers to. */
  readonly includereferences: boolean;
  /** Those that are not disabled, each of another name. */
  readonly endpoints: readonly EndpointConfig[];
}

export interface EndpointConfig {
  readonly name: string;
  /** May hold a password or a token. */
  readonly url: Secret;
  readonly headers: ReadonlyMap<string, readonly Secret[]>;
  readonly timeout: number;
  readonly threshold: number;
  readonly backoff: number;
  readonly ignoredmediatypes: readonly string[];
  readonly ignoredactions: readonly ('push' | 'pull' | 'mount' | 'delete')[];
  /** Signs what is sent. */
  readonly secret: Secret | undefined;
}
