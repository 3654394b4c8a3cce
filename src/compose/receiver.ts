import { request as overHttp, type IncomingMessage } from 'node:http';
import { request as overHttps } from 'node:https';
import type { Send } from '../events/delivery.ts';

/** Nobody reads what a receiver answers beside its status; one that says more than this is cut off. */
const ANSWER_BYTES_MAX = 65_536;

/**
 * Sends a notification by a connection of its own, verifying certificates. No redirect is followed and no proxy is asked: the
 * operator wrote the address down, also where it is a private one (reliability.md, S44).
 */
export const sendNotification: Send = async (url, { headers, body }, signal) => {
  const start = url.startsWith('https:') ? overHttps : overHttp;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, [...values]]));
    const request = start(url, {
      method: 'POST',
      agent: false,
      signal,
      headers: { ...sent, 'content-length': String(body.byteLength) },
    });
    // Node's own word for it does not say that time was over.
    request.on('response', resolve).on('error', (error) => reject(signal.aborted ? (signal.reason as Error) : error));
    request.end(body);
  });
  await discarded(response);
  return response.statusCode ?? 0;
};

/** The status is known: how its body ends changes nothing of it. */
function discarded(response: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    response.on('data', (chunk: Uint8Array) => {
      bytes += chunk.byteLength;
      if (bytes > ANSWER_BYTES_MAX) response.destroy();
    });
    response.on('error', () => resolve()).on('close', resolve);
  });
}
