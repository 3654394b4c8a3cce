import { request as overHttp, type IncomingMessage } from 'node:http';
import { request as overHttps } from 'node:https';

/** A verdict and its reason. */
const ANSWER_BYTES_MAX = 65_536;

/**
 * Sends a question as `sendNotification` sends events: by a connection of its own, verifying certificates, following no redirect, by no
 * proxy (reliability.md, S44). Rejects where no whole answer came, or one of more than 64 KiB.
 */
export async function askScanner(
  url: string,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: Uint8Array }> {
  const start = url.startsWith('https:') ? overHttps : overHttp;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = start(url, {
      method: 'POST',
      agent: false,
      signal,
      headers: { 'content-type': 'application/json', accept: 'application/json', 'content-length': String(body.byteLength) },
    });
    // Node's own word for it does not say that time was over.
    request.on('response', resolve).on('error', (error) => reject(signal.aborted ? (signal.reason as Error) : error));
    request.end(body);
  });
  return { status: response.statusCode ?? 0, body: await bodyOf(response) };
}

async function bodyOf(response: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is longer than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
