import type { ServerResponse } from 'node:http';
import type { Random } from '../../src/system/random.ts';
import type { CutPlace, Plan } from './scripted-behaviour.ts';

/** Writes `bytes` as the plan says; `sent` hears what went to the socket. Resolves when nothing more will be written. */
export async function sendBody(
  outgoing: ServerResponse,
  bytes: Buffer,
  plan: Plan,
  random: Random,
  sent: (count: number) => void,
): Promise<void> {
  const stops = new Map<number, () => Promise<'on' | 'stop'>>();
  const end = Math.min(bytes.length, plan.endAfter ?? Infinity);
  if (plan.gate !== undefined) stops.set(Math.min(plan.gate.after, end), () => passGate(outgoing, plan.gate!));
  if (plan.stallAfter !== undefined && plan.stallAfter <= end) stops.set(plan.stallAfter, () => Promise.resolve('stop'));
  if (plan.cut !== undefined) {
    const { after, how } = plan.cut;
    // At least one byte, so that whoever goes on gets somewhere.
    const at = placeOf(after, end, random);
    if (at < end) stops.set(at, () => cut(outgoing, how));
  }

  const stride = plan.pace?.bytes ?? 256 * 1024;
  for (let at = 0; ;) {
    // A header block alone goes out at once, so that a client sees it although the body waits.
    if (at === 0) outgoing.flushHeaders();
    if (stops.has(at) && (await stops.get(at)!()) === 'stop') return;
    if (at >= end) break;
    const next = Math.min(end, at + stride, ...[...stops.keys()].filter((stop) => stop > at));
    if (!(await write(outgoing, bytes.subarray(at, next)))) return;
    sent(next - at);
    at = next;
    if (plan.pace !== undefined && at < end) await pause(outgoing, plan.pace.everyMs);
  }
  outgoing.end();
  // Said more than it has: a server notices, and closes.
  if ((plan.lengthShift ?? 0) > 0) outgoing.socket?.end();
}

function placeOf(place: CutPlace, end: number, random: Random): number {
  if (place === 'random') return 1 + Math.floor(random.fraction() * (end - 1));
  return typeof place === 'number' ? place : place();
}

/** Resolves when the socket has taken the bytes; false when it is gone. */
function write(outgoing: ServerResponse, bytes: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    if (outgoing.destroyed) return resolve(false);
    const onClose = (): void => resolve(false);
    outgoing.once('close', onClose);
    outgoing.write(bytes, (error) => {
      outgoing.off('close', onClose);
      resolve(error === null || error === undefined);
    });
  });
}

function pause(outgoing: ServerResponse, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      outgoing.off('close', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    outgoing.once('close', done);
  });
}

async function passGate(outgoing: ServerResponse, gate: NonNullable<Plan['gate']>): Promise<'on' | 'stop'> {
  const gone = new Promise<'stop'>((resolve) => outgoing.once('close', () => resolve('stop')));
  return Promise.race([gate.pass().then(() => 'on' as const), gone]);
}

function cut(outgoing: ServerResponse, how: 'fin' | 'rst'): Promise<'stop'> {
  const { socket } = outgoing;
  if (how === 'rst') socket?.resetAndDestroy();
  else socket?.destroy();
  return Promise.resolve('stop');
}
