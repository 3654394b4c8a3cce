import type { UpstreamBody } from '../../upstream/upstream.ts';

/** All that was wanted of it is here: lets the body end by itself, so that its connection can be used again. */
export function finish(body: UpstreamBody): void {
  body.read().then(
    (surplus) => {
      if (surplus !== undefined) body.close();
    },
    () => undefined, // What was wanted is here; how its connection ended does not matter.
  );
}
