import { createHash } from 'node:crypto';
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { BodyCut } from '../../../src/push/body.ts';
import type { Push } from '../../../src/push/push.ts';
import { startSecureEdge, type SecureEdge, type SecureOptions } from './secure-edge.ts';

export const start = (options: SecureOptions = {}): Promise<SecureEdge> => startSecureEdge({ http2: true, ...options });

export interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly bytes: Buffer;
  /** How the stream ended: 0 is clean. */
  readonly code: number;
}

/** Sends a request and yields what became of it, cut or whole. */
export function ask(
  session: ClientHttp2Session,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body?: Uint8Array,
): Promise<Answer> {
  const stream = session.request({ ':path': path, ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return answerOf(stream);
}

export function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let answered: Record<string, unknown> = {};
    stream.on('response', (headers) => (answered = headers));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
    stream.on('close', () =>
      resolve({
        status: answered[':status'] as number | undefined,
        headers: answered,
        bytes: Buffer.concat(chunks),
        code: stream.rstCode ?? -1,
      }),
    );
  });
}

export const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export const UPLOAD = '/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000';
const ACCEPTED = { status: 202, headers: { 'content-length': '0' }, body: { kind: 'none' } } as const;

/** Reads the whole body, and says how it ended. */
export function reading(): { readonly push: Push; readonly outcomes: string[] } {
  const outcomes: string[] = [];
  return {
    outcomes,
    push: async ({ body }) => {
      let size = 0;
      try {
        for (let piece = await body.next(); piece !== undefined; piece = await body.next()) size += piece.byteLength;
        outcomes.push(`${size} of ${body.length}`);
      } catch (error) {
        outcomes.push(error instanceof BodyCut ? 'cut' : String(error));
      }
      return ACCEPTED;
    },
  };
}

/** Turns the event loop until it is so; throws when that takes many more turns than it should. */
export async function reached(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !condition(); turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
  if (!condition()) throw new Error(`it never came to be: ${condition.toString()}`);
}
