import type { UpstreamBody } from '../../upstream/upstream.ts';

/** A 200 in answer to a range: what was not wanted is read and dropped. */
export function discarding(body: UpstreamBody, surplus: number): UpstreamBody {
  let left = surplus;
  return {
    async read() {
      for (;;) {
        const chunk = await body.read();
        if (chunk === undefined || left === 0) return chunk;
        const skip = Math.min(left, chunk.byteLength);
        left -= skip;
        if (skip < chunk.byteLength) return chunk.subarray(skip);
      }
    },
    close: () => body.close(),
  };
}
