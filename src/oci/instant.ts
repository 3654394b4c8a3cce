/**
 * A day, which begins at 00:00 UTC, or a moment in UTC, as ISO 8601 writes them: `2026-11-01`, `2026-11-01T12:30Z`, with seconds
 * and their thousandths or without, and in the basic form (`20261101T123000Z`). Lower case does as well, since a name holds no
 * other. Milliseconds since the epoch; `undefined` for what is none, or is no day of the calendar.
 */
export function parseInstant(text: string): number | undefined {
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '0'] =
    EXTENDED.exec(text) ?? BASIC.exec(text) ?? [];
  if (year === undefined || month === undefined || day === undefined) return undefined;
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, '0')}Z`);
  if (Number.isNaN(at) || at < 0) return undefined;
  // The 30th of February is read as a day of March, and 24:00 as the next day.
  return new Date(at).toISOString().startsWith(`${year}-${month}-${day}T${hour}`) ? at : undefined;
}

const EXTENDED = /^(\d{4})-(\d{2})-(\d{2})(?:t(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?z)?$/i;
const BASIC = /^(\d{4})(\d{2})(\d{2})(?:t(\d{2})(\d{2})(?:(\d{2})(?:\.(\d{1,3}))?)?z)?$/i;

/** What looks as if a date was meant, whether or not it is one. */
export function isLikeInstant(text: string): boolean {
  return /^\d{4}-?\d{2}-?\d{2}(?:t.*)?$/i.test(text);
}

/** As short as it can be said: a day where it is the beginning of one. */
export function formatInstant(at: number): string {
  return new Date(at)
    .toISOString()
    .replace(/\.000Z$/, 'Z')
    .replace(/T00:00:00Z$/, '');
}
