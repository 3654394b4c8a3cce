/** One answer as it stood on the wire. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes as latin1 characters. */
  readonly body: string;
}

/** `whole`: nothing is missing. `faults`: what no answer may look like. */
export interface WireReading {
  readonly answers: readonly WireAnswer[];
  readonly whole: boolean;
  readonly faults: readonly string[];
}

/**
 * Reads what a server sent on one connection as a strict client does (RFC 9112): each answer by its own framing, nothing
 * between them. `methods`: of the requests in order, as far as they are known; `ended`: nothing more will come.
 */
export function readAnswers(text: string, methods: readonly string[], ended: boolean): WireReading {
  const answers: WireAnswer[] = [];
  const faults: string[] = [];
  let at = 0;
  while (at < text.length) {
    const headEnd = text.indexOf('\r\n\r\n', at);
    if (headEnd < 0) return { answers, whole: false, faults };
    const [statusLine = '', ...lines] = text.slice(at, headEnd).split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) [\x20-\x7e]*$/.exec(statusLine)?.[1]);
    if (Number.isNaN(status))
      return { answers, whole: false, faults: [...faults, `no status line: ${statusLine.slice(0, 80)}`] };
    const headers = readHeaders(lines, faults);
    const from = headEnd + 4;
    if (status < 200) {
      at = from;
      continue;
    }
    const body = readBody(text, from, headers, bodiless(status, methods[answers.length]), ended);
    if (typeof body === 'string') return { answers, whole: false, faults: body === 'short' ? faults : [...faults, body] };
    answers.push({ status, headers, body: text.slice(body.from, body.to) });
    at = body.next;
  }
  return { answers, whole: true, faults };
}

function bodiless(status: number, method: string | undefined): boolean {
  return method === 'HEAD' || status === 204 || status === 304;
}

function readHeaders(lines: readonly string[], faults: string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
    if (match === null) {
      faults.push(`no header line: ${JSON.stringify(line.slice(0, 80))}`);
      continue;
    }
    const name = match[1]!.toLowerCase();
    if (name === 'content-length' && headers[name] !== undefined) faults.push('two Content-Lengths');
    headers[name] = match[2]!;
  }
  if (headers['content-length'] !== undefined && headers['transfer-encoding'] !== undefined) faults.push('two framings');
  return headers;
}

type Framed = { readonly from: number; readonly to: number; readonly next: number };

/** `short`: it has not all come; any other text says what is wrong with it. */
function readBody(text: string, from: number, headers: Record<string, string>, none: boolean, ended: boolean): Framed | string {
  if (none) return { from, to: from, next: from };
  const length = headers['content-length'];
  if (length !== undefined) {
    if (!/^\d+$/.test(length)) return `Content-Length: ${length}`;
    const to = from + Number(length);
    return to <= text.length ? { from, to, next: to } : 'short';
  }
  if (headers['transfer-encoding'] === 'chunked') {
    const end = text.indexOf('0\r\n\r\n', from);
    return end < 0 ? 'short' : { from, to: end, next: end + 5 };
  }
  if (headers['connection'] !== 'close') return 'neither a length nor an end of the connection';
  return ended ? { from, to: text.length, next: text.length } : 'short';
}
