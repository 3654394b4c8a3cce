import type { Digest } from '../../src/oci/digest.ts';
import {
  READS_KEPT,
  UpstreamError,
  type Standing,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamBody,
  type UpstreamFound,
  type UpstreamRequest,
} from '../../src/upstream/upstream.ts';

/** One answer that brings something. What is left out is as of a well-behaved registry. */
export interface Supply {
  readonly bytes: Uint8Array;
  /** What it says of the whole; `null`: nothing. */
  readonly size?: number | null;
  /** 200 and everything, whatever range was asked for. */
  readonly ignoreRange?: boolean;
  /** Added to the first byte of a 206. */
  readonly shift?: number;
  /** The body ends by itself after so many bytes. */
  readonly endAfter?: number;
  /** The body breaks after so many bytes. */
  readonly breakAfter?: number;
  readonly breakAs?: 'cut' | 'stall';
  /** Of each read. */
  readonly chunkBytes?: number;
  /** The body waits for `until` after so many bytes. */
  readonly hold?: { readonly after: number; readonly until: Promise<void> };
  /** Awaited before each read. */
  readonly pause?: () => Promise<void>;
  readonly anonymous?: boolean;
  readonly mediaType?: string;
  readonly digest?: Digest;
  readonly next?: Readonly<Record<string, string>>;
  readonly filtersApplied?: string;
}

export type Said = Supply | Exclude<UpstreamAnswer, UpstreamFound> | UpstreamError | 'hang';

/** An upstream without sockets, that says what its script says. `at` counts its questions from 0. */
export type PortScript = (request: UpstreamRequest, at: number) => Said | Promise<Said>;

export interface ScriptedPort extends Upstream {
  readonly asked: readonly UpstreamRequest[];
  /** Where the ranges of its GETs began. */
  starts(): number[];
  gets(): UpstreamRequest[];
  heads(): UpstreamRequest[];
  /** Bytes that were read of its bodies. */
  sent(): number;
  /** Bodies that were neither read to their end nor closed. */
  openBodies(): number;
  say(script: PortScript): void;
  stand(standing: Partial<Standing>): void;
  /** What it would say, without being asked. */
  readonly script: PortScript;
}

/** Up, and never measured. */
export const UNKNOWN: Standing = { up: true, latencyMs: undefined, usualMs: undefined, busy: 0, budget: undefined };

export function createScriptedPort(name: string, script: PortScript): ScriptedPort {
  const asked: UpstreamRequest[] = [];
  const open = new Set<UpstreamBody>();
  let current = script;
  let sent = 0;
  let standing = UNKNOWN;

  function found(request: UpstreamRequest, supply: Supply, signal: AbortSignal): UpstreamFound {
    const { bytes } = supply;
    const ranged = request.range !== undefined && supply.ignoreRange !== true && request.method === 'GET';
    const from = ranged ? request.range!.from + (supply.shift ?? 0) : 0;
    const to = ranged ? (request.range!.to ?? bytes.byteLength) : bytes.byteLength;
    return {
      kind: 'found',
      status: ranged ? 206 : 200,
      mediaType: supply.mediaType,
      digest: supply.digest,
      size: supply.size === null ? undefined : (supply.size ?? bytes.byteLength),
      from,
      next: supply.next,
      filtersApplied: supply.filtersApplied,
      anonymous: supply.anonymous ?? true,
      body: request.method === 'HEAD' ? undefined : bodyOf(bytes.subarray(from, to), supply, signal),
    };
  }

  function bodyOf(bytes: Uint8Array, supply: Supply, signal: AbortSignal): UpstreamBody {
    const { chunkBytes = 64 * 1024, endAfter = Infinity, breakAfter = Infinity, breakAs = 'cut', hold } = supply;
    const stops = [endAfter, breakAfter, hold?.after ?? Infinity, bytes.byteLength];
    let at = 0;
    const given: Uint8Array[] = [];
    const body: UpstreamBody = {
      async read() {
        if (given.length === READS_KEPT) given.shift()!.fill(0xdd); // It was the reader's until now.
        if (signal.aborted) throw signal.reason;
        if (supply.pause !== undefined) await orAborted(supply.pause(), signal);
        if (hold !== undefined && at === hold.after) await orAborted(hold.until, signal);
        if (at >= breakAfter) {
          open.delete(body);
          throw new UpstreamError(name, breakAs, `${name} broke its body`, { timeout: breakAs === 'stall' });
        }
        const next = Math.min(at + chunkBytes, ...stops.filter((stop) => stop > at));
        if (at >= Math.min(endAfter, bytes.byteLength)) {
          open.delete(body);
          return undefined;
        }
        const chunk = Buffer.from(bytes.subarray(at, next)); // Whose own `slice` copies nothing.
        given.push(chunk);
        at += chunk.byteLength;
        sent += chunk.byteLength;
        await Promise.resolve();
        return chunk;
      },
      close: () => void open.delete(body),
    };
    open.add(body);
    return body;
  }

  return {
    name,
    asked,
    starts: () => asked.filter(({ method }) => method === 'GET').map(({ range }) => range?.from ?? 0),
    gets: () => asked.filter(({ method }) => method === 'GET'),
    heads: () => asked.filter(({ method }) => method === 'HEAD'),
    sent: () => sent,
    openBodies: () => open.size,
    say: (next) => void (current = next),
    stand: (next) => void (standing = { ...standing, ...next }),
    script: (request, at) => current(request, at),
    async ask(request, signal) {
      asked.push(request);
      const said = await orAborted(Promise.resolve(current(request, asked.length - 1)), signal);
      if (said === 'hang') return orAborted(new Promise<never>(() => undefined), signal);
      if (said instanceof UpstreamError) throw said;
      return 'kind' in said ? said : found(request, said, signal);
    },
    standing: () => standing,
    status: () => ({
      name,
      url: `https://${name}`,
      up: true,
      latencyMs: undefined,
      credentialsValid: undefined,
      lastError: undefined,
      rateLimit: undefined,
      running: open.size,
    }),
    close: () => Promise.resolve(),
  };
}

/** Nothing usable came. */
export function trouble(name: string, options: { timeout?: boolean; status?: number } = {}): UpstreamError {
  return new UpstreamError(name, options.timeout === true ? 'headers' : 'connect', `${name} cannot be reached`, options);
}

export const ABSENT = { kind: 'absent' } as const;

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
