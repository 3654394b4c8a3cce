import type { Clock } from '../../system/clock.ts';
import { READS_KEPT, UpstreamError, type UpstreamBody } from '../../upstream/upstream.ts';
import { CHAIN_DEADLINE_MS } from '../chain.ts';
import { finish } from './finish.ts';
import { SMALL_BYTES, type Growing } from './growing.ts';
import type { LeadEnd } from './job.ts';

/** What one body of a small blob may take where another upstream could go on with it: three fit into what clients wait for. */
const SMALL_MS = CHAIN_DEADLINE_MS / 3;

/** How one body ended. `overrun`: it brought more than the size. `ended`: by itself, where no size tells whether that is all. */
export type BodyEnd = 'ended' | 'broken' | 'stalled' | 'overrun' | LeadEnd;

/** What a body is pumped into. */
export interface PumpInto {
  readonly clock: Clock;
  readonly growing: Growing;
  readonly stop: AbortSignal;
  /** Whose body it is. */
  readonly upstream: string;
  /** Yields what the disk has against it. */
  readonly write: (bytes: Uint8Array) => Promise<LeadEnd | undefined>;
  /** Where what was asked for ends, if that is before the end of the blob. */
  readonly to: number | undefined;
  /** Another upstream may go on with it. */
  readonly hasNext: boolean;
}

/** `broken`: why, where that is to be noted against its upstream. */
interface Pumped {
  readonly end: BodyEnd;
  readonly broken?: UpstreamError;
}

/** Writes one body to where a fill is, as far as it goes; closes it. */
export async function pump(body: UpstreamBody, into: PumpInto): Promise<Pumped> {
  const { clock, growing, stop, hasNext } = into;
  const end = into.to ?? growing.size;
  const until = clock.monotonic() + SMALL_MS;
  try {
    for (;;) {
      growing.fresh.forget(READS_KEPT - 1); // What was read before those is the body's again.
      const bytes = await body.read();
      if (bytes === undefined) return endOfBody(into);
      if (end !== undefined && growing.written + bytes.byteLength > end) return { end: 'overrun' };
      const trouble = await into.write(bytes);
      if (trouble !== undefined) return { end: trouble };
      if (growing.written === end) return { end: 'broken' };
      if (hasNext && isSmall(growing) && clock.monotonic() > until) return tooSlow(into);
    }
  } catch (error) {
    if (stop.aborted) return { end: 'broken' };
    if (!(error instanceof UpstreamError)) throw error;
    return { end: error.reason === 'stall' ? 'stalled' : 'broken', broken: error };
  } finally {
    growing.fresh.forget();
    if (growing.written === end) finish(body);
    else body.close();
  }
}

/** Of a small blob no client has a byte before it has all of them, and none waits for longer than the chain has. */
function isSmall({ size }: Growing): boolean {
  return size !== undefined && size <= SMALL_BYTES;
}

function tooSlow({ upstream, growing }: PumpInto): Pumped {
  const message = `${upstream} brought no more than ${growing.written} of ${growing.size} bytes in ${SMALL_MS / 1000} s`;
  return { end: 'stalled', broken: new UpstreamError(upstream, 'stall', message) };
}

function endOfBody({ upstream, growing: { size, written } }: PumpInto): Pumped {
  if (size === undefined) return { end: 'ended' };
  const message = `${upstream} ended its body at ${written} of ${size} bytes`;
  return { end: 'broken', broken: new UpstreamError(upstream, 'cut', message) };
}
