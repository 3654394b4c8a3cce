import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { RegistryError } from '../oci/errors.ts';
import { listenOnUnixSocket } from './unix-socket.ts';

/**
 * The administrator's way in, `<rootdirectory>/entrepot.sock`: whoever may open the file may call.
 *
 * The protocol is HTTP/1.1 over the socket:
 *
 *     POST /<call>               the call's name, `status`, `evict` …
 *     Content-Type: application/json
 *     {"image": "ubuntu"}        its parameters: an object, at most 1 MiB; an empty body is {}
 *
 *     200  application/json      the result; `null` for none
 *     200  application/x-ndjson  a stream of results, one JSON value a line, chunked; cut (no last chunk) when it fails.
 *                                The client ends a stream by closing the connection
 *     400  {"error": "…"}        parameters that are no JSON object
 *     404  {"error": "…"}        no such call
 *     422  {"error": "…"}        the call was understood and refused, with one line for the user
 *     500  {"error": "…"}        the call failed
 */
export interface AdminSocket {
  /** Ends running calls (their signals abort), closes, and removes the file. */
  close(): Promise<void>;
}

/** A call: its parameters as they came, unchecked; the signal aborts when the caller has gone or the server ends. */
export type Call = (
  params: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
) => Promise<unknown> | AsyncIterable<unknown>;

export interface AdminSocketOptions {
  readonly path: string;
  readonly calls: Readonly<Record<string, Call>>;
  /** See UnixSocketOptions. */
  readonly unlinkSocket: (path: string) => Promise<boolean>;
  /** A call failed with what is no RegistryError. */
  readonly onFault: (call: string, error: unknown) => void;
}

const PARAMS_BYTES_MAX = 1024 * 1024;

/** Listens; rejects with EADDRINUSE when another server answers there, and with advice when no socket is in the way. */
export async function openAdminSocket(options: AdminSocketOptions): Promise<AdminSocket> {
  const calls = new Map(Object.entries(options.calls));
  const server = createServer((incoming, outgoing) => {
    void answer(calls, options, incoming, outgoing);
  });
  await listenOnUnixSocket(server, options, 'private');
  return {
    close: () => closeServer(server),
  };
}

/** Node removes the file of a socket that it closes. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(
  calls: ReadonlyMap<string, Call>,
  options: AdminSocketOptions,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const name = (incoming.url ?? '').slice(1);
  const abort = new AbortController();
  outgoing.once('close', () => abort.abort(new Error('the caller has gone')));
  outgoing.on('error', () => undefined);
  try {
    const call = calls.get(name);
    if (call === undefined || incoming.method !== 'POST')
      return sendJson(outgoing, 404, { error: `there is no call "${name}"` });
    const params = await readParams(incoming);
    if (params === undefined) return sendJson(outgoing, 400, { error: 'the parameters are no JSON object of at most 1 MiB' });
    const result = call(params, abort.signal);
    if (Symbol.asyncIterator in result) await sendStream(outgoing, result, abort.signal);
    else sendJson(outgoing, 200, (await result) ?? null);
  } catch (error) {
    sendFailure(outgoing, options, name, error);
  }
}

function sendFailure(outgoing: ServerResponse, options: AdminSocketOptions, name: string, error: unknown): void {
  if (outgoing.destroyed) return;
  const refused = error instanceof RegistryError;
  if (!refused) options.onFault(name, error);
  if (outgoing.headersSent) outgoing.destroy();
  else sendJson(outgoing, refused ? 422 : 500, { error: error instanceof Error ? error.message : String(error) });
}

function sendJson(outgoing: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  outgoing.writeHead(status, { 'content-type': 'application/json', 'content-length': body.byteLength });
  outgoing.end(body);
}

/** One line a value, as fast as the caller reads: `tail` must hold nothing for one who does not. */
async function sendStream(outgoing: ServerResponse, values: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
  outgoing.writeHead(200, { 'content-type': 'application/x-ndjson' });
  outgoing.flushHeaders();
  for await (const value of values) {
    if (signal.aborted) return;
    await taken(outgoing, signal, `${JSON.stringify(value)}\n`);
  }
  outgoing.end();
}

/** Resolves when the kernel has taken the line, or the caller has gone. */
function taken(outgoing: ServerResponse, signal: AbortSignal, line: string): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener('abort', done);
      resolve();
    };
    signal.addEventListener('abort', done, { once: true });
    outgoing.write(line, done);
  });
}

async function readParams(incoming: IncomingMessage): Promise<Readonly<Record<string, unknown>> | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > PARAMS_BYTES_MAX) return undefined;
    chunks.push(chunk);
  }
  return parseParams(Buffer.concat(chunks).toString('utf8'));
}

function parseParams(text: string): Readonly<Record<string, unknown>> | undefined {
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    // No JSON at all: the caller is told so.
    return undefined;
  }
}
