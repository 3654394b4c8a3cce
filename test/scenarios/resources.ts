import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { until } from './acceptance.ts';
import type { ProcessOptions, RunningProcess } from './process.ts';

/** Twice, since the second waits for what the first left to other threads; then it says so. */
const COLLECT =
  'let n=0;process.on("SIGUSR2",()=>{gc();setImmediate(()=>{gc();console.log(JSON.stringify({msg:"garbage collected",n:++n}))})})';

/**
 * For a process whose memory is to be measured: SIGUSR2 makes it collect its garbage, so that what is left is held. The
 * program itself knows nothing of that.
 */
export const MEASURED: ProcessOptions = {
  execArgv: ['--expose-gc', '--import', `data:text/javascript,${COLLECT}`],
  // One arena for each thread of the pool would hold on to what it once had.
  env: { MALLOC_ARENA_MAX: '2' },
};

/** What a process holds when nobody asks it for anything. */
export interface Held {
  /** Bytes of anonymous memory. */
  readonly memory: number;
  readonly descriptors: number;
  readonly sockets: number;
  readonly files: number;
  /** Connections that an upstream has open. */
  readonly upstream: number;
}

/** What a process that can be measured holds once its garbage is collected: bytes of anonymous memory. */
export async function memoryHeld(server: RunningProcess): Promise<number> {
  const before = server.records.filter(({ msg }) => msg === 'garbage collected').length;
  server.signal('SIGUSR2');
  await server.logged('garbage collected', ({ n }) => Number(n) > before);
  await (await server.debug('/livez')).bytes();
  return server.memory();
}

/** Waits until fills have ended and what clients left behind is closed, collects garbage, and looks. */
export async function held(server: RunningProcess, upstream: Pick<ScriptedUpstream, 'connections'>): Promise<Held> {
  await server.settled();
  let before = 0;
  // Memory is given back over some collections; when two looks agree there is no more to come.
  const memory = await until(
    async () => {
      const last = before;
      before = await memoryHeld(server);
      return { now: before, last };
    },
    ({ now, last }) => Math.abs(now - last) < 256 * 1024,
    15_000,
  );
  const { all, sockets, files } = await server.descriptors();
  return { memory: memory.now, descriptors: all, sockets, files, upstream: upstream.connections() };
}

/**
 * Connections that the pool may keep idle for a while: as many as were ever in use at once. How many that were is chance; a
 * leak is one for each request.
 */
export const IDLE_MAX = 24;

/** As before, once connections that were just closed are gone: rejects with what is held instead. */
export async function settledTo(
  server: RunningProcess,
  upstream: Pick<ScriptedUpstream, 'connections'>,
  before: Held,
): Promise<Held> {
  await until(
    async () => ({ ...(await server.descriptors()), upstream: upstream.connections() }),
    (now) =>
      now.sockets <= before.sockets + IDLE_MAX && now.files <= before.files + 4 && now.upstream <= before.upstream + IDLE_MAX,
    20_000,
  );
  return held(server, upstream);
}
