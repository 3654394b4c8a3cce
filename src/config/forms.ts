import { z } from 'zod';
import { parseDigest } from '../oci/digest.ts';
import { parseInstant } from '../oci/instant.ts';
import { parseRegistry } from '../oci/registry.ts';
import { isNetwork, parseAddress, parseHost, parseTarget, parseWebUrl } from './address.ts';
import { nearest } from './nearest.ts';
import { checkPattern, checkPinPattern, checkTagPattern, type PatternFault } from './pattern.ts';
import { Secret } from './secret.ts';
import { guessSubject, parseSubjectPattern } from './subject-pattern.ts';
import {
  guessDuration,
  guessSize,
  parseCount,
  parseDuration,
  parseFlag,
  parsePercentage,
  parseRate,
  parseSize,
} from './units.ts';

/**
 * The kinds of value that the configuration knows. Each reads the text as it stood in the file (so that a password
 * `0123` stays what it is) and yields its typed value. `form` names the kind to the JSON Schema, to README's table,
 * and to the list of what may be shown (`shown.ts`). `guess` is what may have been meant, said where it would have been right.
 */
export function form<Value>(
  name: string,
  expected: string,
  parse: (text: string) => Value | undefined,
  guess: (text: string) => string | undefined = () => undefined,
) {
  return z
    .string({ error: () => `expected ${expected}` })
    .transform((text, context): Value => {
      const value = parse(text);
      if (value !== undefined) return value;
      const guessed = guess(text);
      const suggestion = guessed !== undefined && parse(guessed) !== undefined ? guessed : undefined;
      context.addIssue({ code: 'custom', message: `expected ${expected}`, params: { suggestion } });
      return z.NEVER;
    })
    .meta({ form: name });
}

export const text = () => form('text', 'some text', (written) => (written === '' ? undefined : written));

export const secret = () => form('secret', 'a secret', (written) => (written === '' ? undefined : new Secret(written)));

export const path = () => form('path', 'a path', (written) => (written === '' || written.includes('\0') ? undefined : written));

export const flag = () => form('flag', 'true or false', parseFlag);

/** A whole number of `min` to `max`. */
export const count = (min: number, max: number) =>
  form('count', `a whole number from ${min} to ${max}`, (written) => {
    const value = parseCount(written);
    return value !== undefined && value >= min && value <= max ? value : undefined;
  });

/** A whole number of 1 to `max`, or `auto`. */
export const countOrAuto = (max: number) =>
  form('count or auto', `a whole number from 1 to ${max}, or auto`, (written) => {
    if (written === 'auto') return written;
    const value = parseCount(written);
    return value !== undefined && value >= 1 && value <= max ? value : undefined;
  });

/** A hundred years. */
const DURATION_MAX = 36_525 * 86_400_000;

/** Milliseconds; never more than a hundred years, so that sums stay exact. */
export const duration = () =>
  form(
    'duration',
    'a duration such as 30s, 5m, 168h or 30d',
    (written) => {
      const value = parseDuration(written);
      return value !== undefined && value <= DURATION_MAX ? value : undefined;
    },
    guessDuration,
  );

/** Milliseconds since the epoch. */
export const instant = () =>
  form('instant', 'a date such as 2026-11-01, or a moment such as 2026-11-01T12:00:00Z', parseInstant, (written) =>
    parseInstant(`${written}Z`) === undefined ? undefined : `${written}Z`,
  );

/** How often: so many a second. */
export const rate = () =>
  form('rate', 'how often, such as 10 (a second), 600/m or 5000/h', (written) => {
    const perSecond = parseRate(written);
    return perSecond === 0 ? undefined : perSecond;
  });

/** Bytes. */
export const size = () => form('size', 'a size such as 500MB or 50GiB', parseSize, guessSize);

/** A share of `min` to `max` per cent, as a fraction. */
export const percentage = (min: number, max: number) =>
  form(
    'percentage',
    `a percentage from ${min}% to ${max}%`,
    (written) => {
      const share = parsePercentage(written);
      return share !== undefined && share * 100 >= min && share * 100 <= max ? share : undefined;
    },
    (written) => `${written}%`,
  );

/** Less would keep a client waiting between two reads for longer than it has patience. */
const BANDWIDTH_MIN = 64_000;

/** Bytes per second. */
export const bandwidth = () =>
  form(
    'bandwidth',
    'bytes per second, 64KB or more, such as 50MB',
    (written) => {
      const bytes = parseSize(written.replace(/\/s$/, ''));
      return bytes !== undefined && bytes >= BANDWIDTH_MIN ? bytes : undefined;
    },
    (written) => `${written.replace(/\s|\/s$/g, '').replace(/b$/i, '')}B`,
  );

/** A time limit: a {@link duration} of `min` milliseconds to a day, which no timer overflows. */
export const limit = (min = 1) =>
  form(
    'duration',
    `a duration from ${min}ms to 24h, such as 30s`,
    (written) => {
      const value = parseDuration(written);
      return value !== undefined && value >= min && value <= 86_400_000 ? value : undefined;
    },
    guessDuration,
  );

/** A {@link duration}, or `forever`, which is Infinity. */
export const durationOrForever = () =>
  form(
    'duration or forever',
    'a duration such as 30s, 5m or 30d, or forever',
    (written) => (written === 'forever' ? Number.POSITIVE_INFINITY : parseDuration(written)),
    guessDuration,
  );

/** Less would evict what a client is about to ask for. */
const MAXAGE_MIN = 60_000;

/** Milliseconds since the last use, or `forever`, which is undefined. */
export const maxage = () =>
  form<{ readonly ms: number | undefined }>(
    'duration or forever',
    'a duration of 1m or more, such as 168h or 30d, or forever',
    (written) => {
      if (written === 'forever') return { ms: undefined };
      const ms = parseDuration(written);
      return ms !== undefined && ms >= MAXAGE_MIN && ms <= DURATION_MAX ? { ms } : undefined;
    },
    (written) => (written === '0' ? 'forever' : guessDuration(written)),
  );

/**
 * The official registry's `proxy.ttl`, as {@link maxage}: there 0 and less mean never, and a moment means that next to nothing
 * is kept, which is as short as it can be here.
 */
export const ttl = () =>
  form<{ readonly ms: number | undefined }>(
    'duration',
    'a duration such as 168h or 30d, or 0 for ever',
    (written) => {
      if (/^-\d/.test(written)) return { ms: undefined };
      const ms = parseDuration(written);
      if (ms === undefined || ms > DURATION_MAX) return undefined;
      return { ms: ms === 0 ? undefined : Math.max(ms, MAXAGE_MIN) };
    },
    guessDuration,
  );

export const address = () =>
  form('address', 'an address such as :5000, 127.0.0.1:5000 or [::1]:5000', parseAddress, (written) => `:${written}`);

export const target = (defaultPort?: number) =>
  form('host:port', 'a host and a port, such as localhost:6379', (written) => parseTarget(written, defaultPort));

export const webUrl = () =>
  form('URL', 'a URL that begins with http:// or https://, without user, query or fragment', parseWebUrl);

export const registry = () => form('registry', 'a registry such as docker.io or localhost:5001', parseRegistry);

/** Who a rule or a group names. */
export const subject = () =>
  form(
    'subject',
    'user:NAME, group:NAME, token:NAME, oidc:ISSUER:CLAIM=VALUE, signed-in or anyone',
    parseSubjectPattern,
    guessSubject,
  );

/** Of content, as registries name it. */
export const digest = () => form('digest', 'a digest such as sha256: and 64 hexadecimal digits', parseDigest);

export const network = () =>
  form('network', 'an address or a block such as 10.0.0.0/8', (written) => (isNetwork(written) ? written : undefined));

export const host = () =>
  form('host', 'a host such as auth.example.test, with or without a port', (written) =>
    parseHost(written) === undefined ? undefined : written.toLowerCase(),
  );

/** Hosts and networks that `origin` may dial; the port of a registry is dropped. */
export const allowed = () =>
  form('host or network', 'a host, an address, or a block such as 10.0.0.0/8', (written) =>
    isNetwork(written) ? written.toLowerCase() : parseHost(written)?.host,
  );

/** One of a few words, in any case. */
export function word<const Words extends readonly [string, ...string[]]>(...words: Words) {
  const named = `one of ${words.join(', ')}`;
  return z
    .string({ error: () => `expected ${words.length === 1 ? words[0] : named}` })
    .transform((written, context): Words[number] => {
      const found = words.find((candidate) => candidate === written.toLowerCase());
      if (found !== undefined) return found;
      const suggestion = nearest(written, words);
      context.addIssue({
        code: 'custom',
        message: `expected ${words.length === 1 ? words[0] : named}`,
        params: { suggestion },
      });
      return z.NEVER;
    })
    .meta({ form: 'word', words });
}

/** `os/architecture`, or `os/architecture/variant` (OCI image-spec, "image-index.md"). */
export const platform = () =>
  form('platform', 'a platform such as linux/amd64 or linux/arm64/v8', (written) =>
    /^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9.]+)?$/.test(written) ? written : undefined,
  );

export const pattern = () => checked('pattern', checkPattern);
export const tagPattern = () => checked('tag pattern', checkTagPattern);
export const pinPattern = () => checked('pin pattern', checkPinPattern);

function checked(name: string, check: (text: string) => PatternFault | undefined) {
  return z
    .string({ error: () => `expected a ${name}` })
    .superRefine((written, context) => {
      const fault = check(written);
      if (fault !== undefined) {
        context.addIssue({ code: 'custom', message: fault.expected, params: { suggestion: fault.suggestion } });
      }
    })
    .meta({ form: name });
}

/** A list, or a single value that stands for a list of one. */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.preprocess((written) => (typeof written === 'string' ? [written] : written), z.array(item)).meta({ form: 'list' });
}

/** Name → value, the names being the user's own; a Map, so that `constructor` is a name like any other. */
export function mapOf<Value extends z.ZodType>(value: Value, key: z.ZodType<string, string> = z.string()) {
  return z
    .record(key, value)
    .transform((record) => new Map(Object.entries(record) as [string, z.output<Value>][]))
    .meta({ form: 'map' });
}
