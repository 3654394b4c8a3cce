/** Milliseconds of each unit that a duration may be written in: Go's, and days. */
const MILLISECONDS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * `30s`, `5m`, `168h`, `30d`, and Go's compound `1h30m`, as milliseconds; `undefined` for anything else. A bare `0` is a
 * duration; any other bare number is none, since the official registry reads it as nanoseconds and nobody else does.
 */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+$/.test(text)) return undefined;
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g);
  const total = [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * (MILLISECONDS[unit ?? ''] ?? 0), 0);
  return total <= Number.MAX_SAFE_INTEGER ? total : undefined;
}

/** What a person may have meant: `300` are seconds, `5 minutes` 5m, `1 day` 1d. */
export function guessDuration(text: string): string | undefined {
  const [, count, unit = 's'] = /^(\d+(?:\.\d+)?) *([smhd][a-z]*)?$/i.exec(text) ?? [];
  return count === undefined ? undefined : `${count}${/^ms|^milli/i.test(unit) ? 'ms' : unit.charAt(0).toLowerCase()}`;
}

/** As YAML 1.1 spelt it too, since the official registry reads those. */
export function parseFlag(text: string): boolean | undefined {
  if (/^(?:true|yes|on|y)$/i.test(text)) return true;
  if (/^(?:false|no|off|n)$/i.test(text)) return false;
  return undefined;
}

/** A whole number from 0. */
export function parseCount(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
