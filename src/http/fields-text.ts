import { validateHeaderValue, type OutgoingHttpHeaders } from 'node:http';

/** The fields as Node writes them, as bytes; `undefined` where one of them cannot be sent (reliability.md, S21). */
export type FieldsText = (headers: OutgoingHttpHeaders) => Buffer | undefined;

/** Headers that are frozen are looked at once, for as long as they are there: to check and to join them is a tenth of a hit. */
export function createFieldsText(): FieldsText {
  const known = new WeakMap<OutgoingHttpHeaders, Buffer>();
  return (headers) => {
    const before = known.get(headers);
    if (before !== undefined) return before;
    const text = toText(headers);
    if (text === undefined) return undefined;
    const bytes = Buffer.from(text, 'latin1');
    if (Object.isFrozen(headers)) known.set(headers, bytes);
    return bytes;
  };
}

function toText(headers: OutgoingHttpHeaders): string | undefined {
  let text = '';
  try {
    for (const name in headers) {
      const value = headers[name];
      for (const one of Array.isArray(value) ? value : [value]) {
        validateHeaderValue(name, String(one));
        text += `${name}: ${one}\r\n`;
      }
    }
    return text;
  } catch {
    return undefined;
  }
}
