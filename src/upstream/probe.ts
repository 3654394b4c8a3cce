import type { Transport } from './transport.ts';
import { UpstreamError } from './upstream.ts';

export interface ProbeOptions {
  readonly upstream: string;
  readonly url: URL;
  /** What the configuration adds to each request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly userAgent: string;
  readonly transport: Transport;
}

/**
 * Asks for `/v2/` (OCI distribution-spec, end-1), without credentials. Whatever is answered below 500 shows that somebody
 * is there; anything else rejects.
 */
export function createProbe(options: ProbeOptions): (signal: AbortSignal) => Promise<void> {
  const { upstream, transport } = options;
  const url = new URL(options.url.origin);
  url.pathname = `${options.url.pathname.replace(/\/+$/, '')}/v2/`;
  const headers = { 'user-agent': options.userAgent, ...options.headers };
  return async (signal) => {
    const { status, body } = await transport.send({ what: 'ping', method: 'GET', url, headers }, signal);
    body.discard();
    if (status >= 500) throw new UpstreamError(upstream, 'status', `${upstream} (${url.host}) answered ${status}`, { status });
  };
}
