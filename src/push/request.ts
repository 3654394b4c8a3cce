import type { Digest } from '../oci/digest.ts';
import type { Reference } from '../oci/reference.ts';
import type { PushBody } from './body.ts';

/** The name that a push goes to, as the request path's parser reads it. */
export interface PushName {
  readonly registry: string;
  readonly repository: string;
  /** As this client spelt it. */
  readonly shown: string;
  /** The path of this client's requests up to and with the repository: what Locations begin with. */
  readonly base: string;
  /** `?ns=` as received, where it decided: Locations repeat it. */
  readonly ns: string | undefined;
}

export type PushTarget =
  | { readonly kind: 'upload'; readonly name: PushName; readonly session: string | undefined }
  | { readonly kind: 'manifest'; readonly name: PushName; readonly reference: Reference }
  | { readonly kind: 'blob'; readonly name: PushName; readonly digest: Digest };

/** What log and metrics will say of the request. */
export interface PushTrace {
  readonly requestId: string;
  registry: string | undefined;
  repository: string | undefined;
  reference: string | undefined;
  digest: string | undefined;
  type: 'manifest' | 'blob' | undefined;
  route: string | undefined;
  size: number | undefined;
}

/** Who asks: what notifications tell of it. */
export interface Requester {
  readonly id: string;
  /** The client's address. */
  readonly addr: string;
  /** As the client sent it. */
  readonly host: string | undefined;
  readonly method: string;
  readonly useragent: string | undefined;
}

export type PushMethod = 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

export interface PushRequest {
  readonly method: PushMethod;
  readonly target: PushTarget;
  readonly query: URLSearchParams;
  readonly contentType: string | undefined;
  readonly contentRange: string | undefined;
  readonly body: PushBody;
  /** Reads another repository's name as this client spells it; `undefined` for what is none, or not this client's to pull. */
  readonly nameOf: (text: string) => PushName | undefined;
  /** Whether this client may pull what is held as `registry/repository`, which it did not name. */
  readonly mayPull: (holder: string) => boolean;
  readonly requester: Requester;
  /** Whose uploads count together: `user:ann`, `address:192.0.2.1`. */
  readonly by: string;
  /** Of this server as the client sees it, with what stands before `/v2/`. */
  readonly address: string | undefined;
  /** The client has gone. */
  readonly signal: AbortSignal;
  readonly trace: PushTrace;
}

/** An answer, decided but not sent. */
export interface PushReply {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly kind: 'none' };
}

/** What of a route a push needs to know. */
export interface PushRoute {
  readonly name: string;
  readonly deny: boolean;
  /** What was pushed here is a member of the chain. */
  readonly hosted: boolean;
  /** Clients may push. */
  readonly push: boolean;
  /** Bytes that may be pushed to all its repositories together. */
  readonly quota?: number | undefined;
  readonly policy: {
    /** Tags that cannot be moved once they were pushed. */
    readonly immutable: (tag: string) => boolean;
  };
}

/** One request on its way: its name has a route that it may take. */
export interface Pushing {
  readonly request: PushRequest;
  readonly name: PushName;
  readonly route: PushRoute;
  /** `registry/repository`: under which links, tags and uploads are kept. */
  readonly holder: string;
}
