import type { BlobStore } from '../blobs/blob-store.ts';
import type { Records } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import type { Absences } from './absences.ts';
import type { ReportPull } from './events.ts';
import type { Blame } from './fill/sources.ts';
import type { Fills } from './fills.ts';
import type { Givers } from './givers.ts';
import type { Passthrough } from './passthrough.ts';
import type { Prover } from './prove.ts';
import type { Ready } from './ready.ts';
import type { Route, Router } from './route.ts';
import type { SmallBlobs } from './small-blobs.ts';
import type { Store } from './store.ts';
import type { Trace } from './trace.ts';
import type { Unowned } from './unowned.ts';

/** What the steps of the request path share; made once, in compose.ts. */
export interface PullDeps {
  readonly clock: Clock;
  readonly blobs: BlobStore;
  readonly records: Records;
  readonly store: Store;
  readonly smallBlobs: SmallBlobs;
  readonly ready: Pick<Ready, 'look'>;
  readonly fills: Fills;
  /** The same while the metadata cannot be asked: shared within this process, and remembered by nobody. */
  readonly unrecordedFills: Fills;
  readonly blame: Blame;
  readonly prover: Prover;
  readonly givers: Givers;
  readonly absences: Absences;
  readonly passthrough: Pick<Passthrough, 'enter'>;
  readonly unowned: Unowned;
  readonly report: ReportPull;
  /** Asked at each request, so that a reload takes effect with the next one. */
  readonly router: Router;
}

/** One request on its way: what is asked for has a name and a route. */
export interface Pulling {
  readonly route: Route;
  readonly registry: string;
  readonly repository: string;
  /** `registry/repository`: under which links and tags are kept. */
  readonly holder: string;
  /** Tags are asked for as of this moment, ms since the epoch. */
  readonly asof: number | undefined;
  readonly method: 'GET' | 'HEAD';
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly ifNoneMatch: string | undefined;
  /** The client has gone. Ends its waiting, never a fill. */
  readonly signal: AbortSignal;
  readonly trace: Trace;
}
