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

const BYTES: Readonly<Record<string, number>> = {
  '': 1,
  k: 1000,
  m: 1000 ** 2,
  g: 1000 ** 3,
  t: 1000 ** 4,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
  ti: 1024 ** 4,
};

/** `500MB` and `50GiB` as bytes, in thousands or in 1024s as the unit says; `undefined` for anything else. */
export function parseSize(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,12}(?:\.\d{1,3})?)([kmgt]i?)?b$/i.exec(text) ?? [];
  const bytes = Math.round(Number(count) * (BYTES[unit.toLowerCase()] ?? Number.NaN));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** What a person may have meant: `50` are bytes, `50 Gi` is 50GiB. */
export function guessSize(text: string): string {
  return /^\d+(?:\.\d+)?$/.test(text) ? `${text}B` : `${text.replace(/\s/g, '').replace(/b$/i, '')}B`;
}

/** `95%` and `0.5%` as a fraction; `undefined` for anything else. */
export function parsePercentage(text: string): number | undefined {
  const [, count] = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) / 100;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** `10` and `10/s` are ten a second, `600/m` as many a minute; as so many a second. */
export function parseRate(text: string): number | undefined {
  const [, count, unit = 's'] = /^(\d{1,6})(?:\/([smh]))?$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) / (SECONDS[unit] ?? 1);
}

/** A whole number from 0. */
export function parseCount(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
