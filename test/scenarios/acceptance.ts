/** The whole size of an acceptance test (`npm run accept:…`) instead of the small one that is part of `npm test`. */
export const full = process.env['ENTREPOT_ACCEPT'] === 'full';

/** What a run does at its small size, and at its whole one. */
export function sized<T>(small: T, whole: T): T {
  return full ? whole : small;
}

/** What random choices start from; `ENTREPOT_SEED` plays another history. */
export const seed = Number(process.env['ENTREPOT_SEED'] ?? 1);

/** At the whole size, prints what was seen: one row a line, aligned. */
export function table(title: string, rows: Readonly<Record<string, string | number>>): void {
  if (!full) return;
  const width = Math.max(...Object.keys(rows).map((name) => name.length));
  const lines = Object.entries(rows).map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
  process.stdout.write(`${[title, ...lines].join('\n')}\n`);
}

/** Bytes, for people. */
export function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** Looks again and again until it holds; rejects with what was seen last when it never does. */
export async function until<T>(look: () => Promise<T>, holds: (seen: T) => boolean, limitMs = 20_000): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(seen)} after ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
