import type { RequestKind } from './scripted-request.ts';

/** Everything that one answer does differently from what a well-behaved registry would do; empty: nothing. */
export interface Plan {
  delayMs?: number;
  blackHole?: boolean;
  hangUp?: 'fin' | 'rst';
  status?: { code: number; headers: Record<string, string>; body: string };
  redirect?: { location: (path: string) => string; status: number };
  headers?: Record<string, string>;
  mediaType?: string | null;
  digestHeader?: string | null;
  encoding?: string;
  ignoreRange?: boolean;
  /** Added to what Content-Range says. */
  rangeShift?: { start: number; total: number };
  length?: 'chunked' | 'close';
  /** Added to what Content-Length says. */
  lengthShift?: number;
  flipAt?: number;
  /** Instead of the content. */
  bytes?: Buffer;
  /** Bytes of the body after which it ends as if that were all. */
  endAfter?: number;
  pace?: { bytes: number; everyMs: number };
  cut?: { after: CutPlace; how: 'fin' | 'rst' };
  stallAfter?: number;
  gate?: Gate & { readonly after: number };
}

/** Bytes of the body; `random`: anywhere in it, from the upstream's seed; a function is asked for each body. */
export type CutPlace = number | 'random' | (() => number);

/** A body that waits, after so many bytes, until the test lets it go on. */
export interface Gate {
  /** Resolves when a body has come to the gate. */
  readonly reached: Promise<void>;
  open(): void;
  /** For the body: resolves when the gate is open. */
  pass(): Promise<void>;
}

interface Step {
  readonly change: (plan: Plan) => void;
  method: string | undefined;
  /** How many answers it still touches, after how many it leaves alone. */
  left: number;
  skip: number;
}

/**
 * What a resource, or the whole registry, does wrong. Each call adds one behaviour and yields the same script; `once`,
 * `times`, `after` and `to` narrow the behaviour added last.
 */
export interface Script {
  /** `bytes` (`64KiB`) every `everyMs`. */
  drip(bytes: number | string, pace: { readonly everyMs: number }): Script;
  rate(bytesPerSecond: number): Script;
  delay(ms: number): Script;
  /** Ends the connection in mid-body: FIN, or RST. A place beyond the end cuts nothing. */
  cutAfter(bytes: CutPlace, how?: 'fin' | 'rst'): Script;
  /** The body ends early and cleanly (with `noLength`; otherwise the length is adapted). */
  endAfter(bytes: number): Script;
  /** Neither goes on nor ends. A place beyond the end stalls nothing. */
  stallAfter(bytes: number): Script;
  /** Takes the request and never answers. */
  blackHole(): Script;
  /** Takes the request and closes the connection. */
  hangUp(how?: 'fin' | 'rst'): Script;
  /** Holds the body after so many bytes. */
  holdAfter(bytes: number, gate: Gate): Script;
  status(code: number, headers?: Record<string, string>, body?: string): Script;
  noLength(how?: 'chunked' | 'close'): Script;
  wrongLength(by: number): Script;
  /** One bit of the byte at this place of the content (negative: from its end). */
  flipByte(at: number): Script;
  /** Other bytes than the digest says. */
  otherBytes(bytes: Uint8Array): Script;
  digestHeader(value: string): Script;
  noDigestHeader(): Script;
  mediaType(value: string | null): Script;
  contentEncoding(value: string): Script;
  header(name: string, value: string): Script;
  ignoreRange(): Script;
  wrongRange(shift: { readonly start?: number; readonly total?: number }): Script;
  /** `target`: an address, or a path; a function of the request's path and query yields either. */
  redirectTo(target: string | ((path: string) => string), status?: number): Script;
  refuseHead(status?: number): Script;
  once(): Script;
  times(count: number): Script;
  /** Leaves the first `count` answers alone. */
  after(count: number): Script;
  /** For one method only. */
  to(method: 'GET' | 'HEAD' | 'POST'): Script;
  /** Well-behaved again. */
  clear(): Script;
}

export interface ScriptWithSteps extends Script {
  apply(method: string, plan: Plan): void;
}

export function createGate(): Gate {
  let arrive!: () => void;
  let open!: () => void;
  const reached = new Promise<void>((resolve) => (arrive = resolve));
  const opened = new Promise<void>((resolve) => (open = resolve));
  const pass = (): Promise<void> => {
    arrive();
    return opened;
  };
  return { reached, open, pass };
}

export function createScript(): ScriptWithSteps {
  const steps: Step[] = [];
  const add = (change: (plan: Plan) => void, method?: string): Script => {
    steps.push({ change, method, left: Infinity, skip: 0 });
    return script;
  };
  const narrow = (change: (step: Step) => void): Script => {
    const last = steps.at(-1);
    if (last === undefined) throw new Error('there is no behaviour to narrow');
    change(last);
    return script;
  };

  const script: ScriptWithSteps = {
    drip: (bytes, { everyMs }) => add((plan) => (plan.pace = { bytes: sizeOf(bytes), everyMs })),
    rate: (bytesPerSecond) => add((plan) => (plan.pace = { bytes: Math.ceil(bytesPerSecond / 100), everyMs: 10 })),
    delay: (ms) => add((plan) => (plan.delayMs = ms)),
    cutAfter: (after, how = 'rst') => add((plan) => (plan.cut = { after, how })),
    endAfter: (bytes) => add((plan) => (plan.endAfter = bytes)),
    stallAfter: (bytes) => add((plan) => (plan.stallAfter = bytes)),
    blackHole: () => add((plan) => (plan.blackHole = true)),
    hangUp: (how = 'fin') => add((plan) => (plan.hangUp = how)),
    holdAfter: (after, gate) => add((plan) => (plan.gate = { ...gate, after })),
    status: (code, headers = {}, body = '') => add((plan) => (plan.status = { code, headers, body })),
    noLength: (how = 'chunked') => add((plan) => (plan.length = how)),
    wrongLength: (by) => add((plan) => (plan.lengthShift = by)),
    flipByte: (at) => add((plan) => (plan.flipAt = at)),
    otherBytes: (bytes) => add((plan) => (plan.bytes = Buffer.from(bytes))),
    digestHeader: (value) => add((plan) => (plan.digestHeader = value)),
    noDigestHeader: () => add((plan) => (plan.digestHeader = null)),
    mediaType: (value) => add((plan) => (plan.mediaType = value)),
    contentEncoding: (value) => add((plan) => (plan.encoding = value)),
    header: (name, value) => add((plan) => (plan.headers = { ...plan.headers, [name]: value })),
    ignoreRange: () => add((plan) => (plan.ignoreRange = true)),
    wrongRange: ({ start = 0, total = 0 }) => add((plan) => (plan.rangeShift = { start, total })),
    redirectTo: (target, status = 307) =>
      add((plan) => (plan.redirect = { location: typeof target === 'string' ? () => target : target, status })),
    refuseHead: (code = 405) => add((plan) => (plan.status = { code, headers: {}, body: '' }), 'HEAD'),
    once: () => narrow((step) => (step.left = 1)),
    times: (count) => narrow((step) => (step.left = count)),
    after: (count) => narrow((step) => (step.skip = count)),
    to: (method) => narrow((step) => (step.method = method)),
    clear() {
      steps.length = 0;
      return script;
    },
    apply(method, plan) {
      for (const step of steps) {
        if (step.method !== undefined && step.method !== method) continue;
        if (step.skip > 0) step.skip--;
        else if (step.left > 0) {
          step.left--;
          step.change(plan);
        }
      }
    },
  };
  return script;
}

/** `64KiB`, `1MiB`, or a number of bytes. */
export function sizeOf(size: number | string): number {
  if (typeof size === 'number') return size;
  const match = /^(\d+)(KiB|MiB|GiB|B)$/.exec(size);
  if (match === null) throw new Error(`"${size}" is no size: write 64KiB, or a number of bytes`);
  return Number(match[1]) * { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }[match[2] as 'B' | 'KiB' | 'MiB' | 'GiB'];
}

/** `GET blob`, `HEAD manifest`, `token`, `401 GET`, `blob library/alpine`: every word must fit. */
export function fits(
  pattern: string,
  request: { method: string; kind: RequestKind; url: string; status: number | undefined },
): boolean {
  return pattern.split(' ').every((word) => {
    if (/^[A-Z]+$/.test(word)) return request.method === word;
    if (/^\d{3}$/.test(word)) return request.status === Number(word);
    if (KINDS.has(word)) return request.kind === word;
    return decodeURIComponent(request.url).includes(word);
  });
}

const KINDS: ReadonlySet<string> = new Set(['manifest', 'blob', 'tags', 'referrers', 'ping', 'token', 'catalog', 'file']);
