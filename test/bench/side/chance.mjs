// Chance that is the same in every run.

/** mulberry32: numbers from 0 up to 1. */
export function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Chooses among so many: the nth most popular is asked for 1/n^exponent as often as the first. `order`: the most popular first. */
export function zipf(count, exponent, random) {
  const sums = new Float64Array(count);
  let whole = 0;
  for (let at = 0; at < count; at += 1) sums[at] = whole += 1 / (at + 1) ** exponent;
  const order = Array.from({ length: count }, (_, at) => at).sort((a, b) => seeded(a)() - seeded(b)());
  const choose = () => {
    const wanted = random() * whole;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return order[low];
  };
  return { choose, order };
}

/** Which share of the blobs an ideal LRU of so many bytes has, over pulls of whole images in this order; `from`: the first that counts. */
export function idealHits(images, bytesMax, from = 0) {
  const held = new Map();
  let [bytes, hits, all] = [0, 0, 0];
  const use = (digest, size) => {
    const has = held.delete(digest);
    if (!has) bytes += size;
    held.set(digest, size);
    for (const [oldest, its] of held) {
      if (bytes <= bytesMax) break;
      held.delete(oldest);
      bytes -= its;
    }
    return has;
  };
  for (const [at, image] of images.entries()) {
    use(image.digest, image.manifest.length);
    for (const { digest, size } of image.blobs) {
      const has = use(digest, size);
      if (at < from) continue;
      all += 1;
      hits += has ? 1 : 0;
    }
  }
  return hits / all;
}
