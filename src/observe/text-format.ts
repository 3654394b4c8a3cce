/** Shown first and without their names; all other fields follow as `name=value`. */
const LEADING = new Set(['time', 'level', 'msg']);

/** A JSON record as one readable line: `2026-03-01T10:00:00.000Z warn upstream down upstream=hub error="connect …"`. */
export function formatText(line: string): string {
  const record = parseRecord(line);
  if (record === undefined) return line;
  const rest = Object.entries(record)
    .filter(([name, value]) => !LEADING.has(name) && value !== null)
    .map(([name, value]) => `${name}=${showValue(value)}`);
  const level = (typeof record['level'] === 'string' ? record['level'] : '').padEnd(5);
  return `${[record['time'], level, showMessage(record['msg']), ...rest].join(' ')}\n`;
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    // Not a record: a line that something else wrote is passed on as it stands.
    return undefined;
  }
}

function showMessage(message: unknown): string {
  return typeof message === 'string' && isPlain(message.replaceAll(' ', '')) ? message : asJson(message ?? '');
}

/** Text with blanks, quotes or control characters is shown as JSON, so that a record stays one line and stays readable. */
function showValue(value: unknown): string {
  return typeof value === 'string' && isPlain(value) ? value : asJson(value);
}

function isPlain(text: string): boolean {
  return text !== '' && /^[\x21\x23-\x7e]+$/.test(text);
}

/** JSON lets DEL and the C1 controls stand, which some terminals obey. */
function asJson(value: unknown): string {
  return (JSON.stringify(value) ?? '').replaceAll(/[\u007f-\u009f\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
