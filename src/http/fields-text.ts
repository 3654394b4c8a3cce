import { validateHeaderValue, type OutgoingHttpHeaders } from 'node:http';

/** The fields as Node writes them; `undefined` where one of them cannot be sent (reliability.md, S21). */
export type FieldsText = (headers: OutgoingHttpHeaders) => string | undefined;

/** Headers that are frozen are looked at once, for as long as they are there: to check and to join them is a tenth of a hit. */
export function createFieldsText(): FieldsText {
  const known = new WeakMap<OutgoingHttpHeaders, string>();
  return (headers) => {
    const before = known.get(headers);
    if (before !== undefined) return before;
    const text = toText(headers);
    if (text !== undefined && Object.isFrozen(headers)) known.set(headers, text);
    return text;
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
