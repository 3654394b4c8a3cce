import { request, type IncomingMessage } from 'node:http';
import type { CallName } from '../admin/calls.ts';
import { AdminError } from '../admin/admin-error.ts';

/** Nobody listens there: no server runs with this `rootdirectory`. */
export class NoServerError extends Error {
  override readonly name = 'NoServerError';
}

/** Asks the running server for one value. Rejects with NoServerError, or AdminError with what the server said. */
export async function callServer(path: string, call: CallName, params: object, signal?: AbortSignal): Promise<unknown> {
  const answer = await send(path, call, params, signal);
  return JSON.parse(await textOf(answer)) as unknown;
}

/** Asks for a stream of JSON values, one a line. Ends with the server's or the signal's end. */
export async function* streamServer(
  path: string,
  call: CallName,
  params: object,
  signal?: AbortSignal,
): AsyncGenerator<unknown> {
  const answer = await send(path, call, params, signal);
  try {
    for await (const line of linesOf(answer)) {
      const value = JSON.parse(line) as unknown;
      const error = errorOf(value);
      if (error !== undefined) throw new AdminError(error);
      yield value;
    }
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  } finally {
    answer.destroy();
  }
}

/** Codes by which a socket file without a server shows itself, a missing one and one that a crash left. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'ENOTDIR']);

function send(path: string, call: CallName, params: object, signal?: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify(params);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), connection: 'close' };
    const sent = request(
      { socketPath: path, path: `/${call}`, method: 'POST', headers, ...(signal && { signal }) },
      (answer) => {
        if (answer.statusCode === 200) return resolve(answer);
        textOf(answer).then((text) => reject(new AdminError(refusalOf(text, answer.statusCode))), reject);
      },
    );
    sent.on('error', (error: NodeJS.ErrnoException) => reject(connectionError(error, path)));
    sent.end(body);
  });
}

function connectionError(error: NodeJS.ErrnoException, path: string): Error {
  if (NOBODY.has(error.code ?? '')) return new NoServerError(`no server runs here: nobody listens on ${path}`);
  if (error.code !== 'EACCES') return error;
  return new AdminError(`${path} may not be opened by this user: run the command as root or as the server's user`);
}

function refusalOf(text: string, status: number | undefined): string {
  try {
    return errorOf(JSON.parse(text)) ?? `the server answered ${status}`;
  } catch {
    // No JSON: whoever listens there speaks something else, and its status is all that can be told.
    return `the server answered ${status}`;
  }
}

/** `{"error":"…"}`, of a whole answer or of a stream's last line. */
function errorOf(value: unknown): string | undefined {
  const error = typeof value === 'object' && value !== null && 'error' in value ? value.error : undefined;
  return typeof error === 'string' ? error : undefined;
}

/** The largest answer is a status with every upstream. */
const ANSWER_LENGTH_MAX = 16 * 1024 * 1024;

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  answer.setEncoding('utf8');
  for await (const chunk of answer) {
    text += String(chunk);
    if (text.length > ANSWER_LENGTH_MAX) throw new AdminError('the server answered more than a command can take');
  }
  return text;
}

async function* linesOf(answer: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  answer.setEncoding('utf8');
  for await (const chunk of answer) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield line;
  }
  if (rest !== '') yield rest;
}
