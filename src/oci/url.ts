/**
 * The address that `text` is, relative to `base` where it is relative; `undefined` where it is none. By trying: once it is compiled,
 * Node's `URL.canParse` takes Latin-1 for UTF-8, and says yes to what `new URL` then throws at.
 */
export function parseUrl(text: string, base?: URL): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined; // That is the answer.
  }
}
