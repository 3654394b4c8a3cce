import type { Reply } from '../pull/reply.ts';
import { emptyReply, jsonReply } from './routes.ts';

/** Whether pulls can be answered, as a fact kept elsewhere: a probe costs nothing and asks nobody (S51). */
export interface Readiness {
  readonly ready: boolean;
  /** Why not: `starting`, `draining`, `no storage and no upstream` … */
  readonly reason?: string;
  /** What does not work while pulls still do: `storage`, `metadata`. */
  readonly degraded: readonly string[];
}

/** `/readyz` on the main listener, which strangers reach: the status and nothing else. */
export function statusOnly(readiness: Readiness): Reply {
  return emptyReply(readiness.ready ? 200 : 503);
}

/** `/readyz` on the debug listener: with what is the matter. */
export function inDetail({ ready, reason, degraded }: Readiness): Reply {
  const said = { ...(ready ? {} : { reason: reason ?? 'not ready' }), ...(degraded.length > 0 ? { degraded } : {}) };
  return jsonReply(ready ? 200 : 503, said);
}
