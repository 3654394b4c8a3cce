import { messageOf } from '../observe/redact.ts';
import { RegistryError } from '../oci/errors.ts';
import { AdminError } from './admin-error.ts';
import type { Admin } from './admin.ts';

/** What a running server does beside answering. */
export interface ServerControl {
  /** Reads the configuration again; rejects with what is wrong with it, and then nothing has changed. */
  reload(): Promise<Reloaded>;
  health(): Health;
}

export interface Reloaded {
  readonly config: string;
  /** Keys that changed and wait for a restart. */
  readonly restart: readonly string[];
}

/** As the probes have it (`http/probes.ts`). */
export interface Health {
  readonly ready: boolean;
  /** Why not: `starting`, `draining` … */
  readonly reason?: string;
  /** Troubles through which pulls still pass. */
  readonly degraded: readonly string[];
}

/**
 * What the socket answers to `POST /<name>` (`http/socket.ts`): one JSON value, or a stream of them. `params` is what was
 * sent, unchecked. The signal ends with the caller. Throws AdminError for what cannot be done.
 */
export type Call = (
  params: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
) => Promise<unknown> | AsyncIterable<unknown>;

/** Every call, by name. */
export type Calls = Readonly<Record<CallName, Call>>;

export type CallName =
  | 'status'
  | 'explain'
  | 'ls'
  | 'evict'
  | 'pin'
  | 'unpin'
  | 'refresh'
  | 'release'
  | 'disown'
  | 'collect'
  | 'scrub'
  | 'import'
  | 'backup'
  | 'createtoken'
  | 'tokens'
  | 'revoketoken'
  | 'tail'
  | 'clients'
  | 'reload'
  | 'health';

export function createCalls(admin: Admin, control: ServerControl): Calls {
  return {
    status: () => admin.status(),
    explain: (params, signal) => admin.explain(textOf(params, 'image'), signal, optionalTextOf(params, 'as')),
    ls: (params) => refusalsAsLast(admin.ls(optionalTextOf(params, 'pattern'))),
    evict: (params) =>
      refusalsAsLast(admin.evict({ pattern: optionalTextOf(params, 'pattern'), dryRun: flagOf(params, 'dryRun') })),
    pin: (params) => admin.pin(textOf(params, 'pattern')),
    unpin: (params) => admin.unpin(textOf(params, 'pattern')),
    refresh: (params) => admin.refresh(textOf(params, 'image')),
    release: (params) => admin.release(textOf(params, 'image')),
    disown: (params) => admin.disown(textOf(params, 'repository')),
    collect: (params) =>
      refusalsAsLast(admin.collect({ dryRun: flagOf(params, 'dryRun'), deleteUntagged: flagOf(params, 'deleteUntagged') })),
    scrub: (params) => refusalsAsLast(admin.scrub({ repair: flagOf(params, 'repair') })),
    import: (params) =>
      refusalsAsLast(
        admin.import({
          directory: textOf(params, 'directory'),
          registry: optionalTextOf(params, 'registry'),
          hosted: flagOf(params, 'hosted'),
          dryRun: flagOf(params, 'dryRun'),
        }),
      ),
    backup: (params) =>
      refusalsAsLast(admin.backup({ directory: textOf(params, 'directory'), cached: flagOf(params, 'cached') })),
    createtoken: (params) =>
      admin.createToken({ name: textOf(params, 'name'), lifetimeMs: optionalNumberOf(params, 'lifetimeMs') }),
    tokens: () => admin.tokens(),
    revoketoken: (params) => admin.revokeToken(textOf(params, 'name')),
    tail: (_params, signal) => admin.tail(signal),
    clients: async () => admin.clients(),
    async reload() {
      try {
        return await control.reload();
      } catch (error) {
        // It was logged where it happened; whoever asked is told on one line.
        throw new AdminError(messageOf(error).replaceAll('\n', '; '));
      }
    },
    health: async () => Promise.resolve(control.health()),
  };
}

/** A stream has its status before its first value: a refusal is its last value instead, `{"error": "…"}`. */
async function* refusalsAsLast(values: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  try {
    yield* values;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    yield { error: error.message };
  }
}

function flagOf(params: Readonly<Record<string, unknown>>, name: string): boolean {
  const found = params[name] ?? false;
  if (typeof found !== 'boolean') throw new AdminError(`the parameter ${name} is neither true nor false`);
  return found;
}

function textOf(params: Readonly<Record<string, unknown>>, name: string): string {
  const text = optionalTextOf(params, name);
  if (text === undefined) throw new AdminError(`the parameter ${name} is missing`);
  return text;
}

function optionalNumberOf(params: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const found = params[name] ?? undefined;
  if (found !== undefined && typeof found !== 'number') throw new AdminError(`the parameter ${name} is no number`);
  return found;
}

function optionalTextOf(params: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const found = params[name];
  if (found === undefined || found === null) return undefined;
  if (typeof found !== 'string' || found.length > 2048)
    throw new AdminError(`the parameter ${name} is no text of a sensible length`);
  return found;
}
