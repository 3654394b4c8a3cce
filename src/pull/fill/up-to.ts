import type { UpstreamBody } from '../../upstream/upstream.ts';

/** A body of which only the first `bytes` are wanted: its chunks end there. What comes behind is there for who reads on. */
export function upTo(body: UpstreamBody, bytes: number): UpstreamBody {
  let left = bytes;
  return {
    async read() {
      const chunk = await body.read();
      if (chunk === undefined || left === 0) return chunk;
      const wanted = chunk.subarray(0, left);
      left -= wanted.byteLength;
      return wanted;
    },
    close: () => body.close(),
  };
}
