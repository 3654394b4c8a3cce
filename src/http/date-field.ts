/** The field `Date` (RFC 9110 6.6.1), put together once a second. `now`: ms since the epoch. */
export function createDateField(now: () => number): () => string {
  let second = Number.NaN;
  let text = '';
  return () => {
    const current = Math.floor(now() / 1000);
    if (current !== second) text = new Date(current * 1000).toUTCString();
    second = current;
    return text;
  };
}
