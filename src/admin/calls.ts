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

/** An answer to a call of the socket: one JSON value, or one a line for as long as it lasts. */
export type CallAnswer =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'stream'; readonly items: AsyncIterable<unknown> };

/** `params` is what was sent, unchecked. The signal ends with the connection. Throws AdminError for what cannot be done. */
export type Call = (params: unknown, signal: AbortSignal) => Promise<CallAnswer>;

/** Every call that the socket answers, by name: `POST /<name>`. */
export type Calls = Readonly<Record<CallName, Call>>;

export type CallName = 'status' | 'explain' | 'ls' | 'refresh' | 'tail' | 'clients' | 'reload' | 'health';

export function createCalls(admin: Admin, control: ServerControl): Calls {
  return {
    status: async () => value(await admin.status()),
    explain: async (params, signal) => value(await admin.explain(textOf(params, 'image'), signal)),
    ls: async (params) => stream(admin.ls(optionalTextOf(params, 'pattern'))),
    refresh: async (params) => value(await admin.refresh(textOf(params, 'image'))),
    tail: async (_params, signal) => stream(admin.tail(signal)),
    clients: async () => value(await admin.clients()),
    reload: async () => value(await control.reload()),
    health: async () => value(control.health()),
  };
}

function value(result: unknown): CallAnswer {
  return { kind: 'value', value: result };
}

function stream(items: AsyncIterable<unknown>): CallAnswer {
  return { kind: 'stream', items };
}

function textOf(params: unknown, name: string): string {
  const text = optionalTextOf(params, name);
  if (text === undefined) throw new AdminError(`the parameter ${name} is missing`);
  return text;
}

function optionalTextOf(params: unknown, name: string): string | undefined {
  const found = typeof params === 'object' && params !== null ? (params as Record<string, unknown>)[name] : undefined;
  if (found === undefined || found === null) return undefined;
  if (typeof found !== 'string' || found.length > 2048)
    throw new AdminError(`the parameter ${name} is no text of a sensible length`);
  return found;
}
