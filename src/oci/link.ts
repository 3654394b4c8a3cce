/** Longer headers are not read. */
const HEADER_LENGTH_MAX = 16 * 1024;

/** The target of the first link with `rel=next` (RFC 8288 3), as it stands there; `undefined` where there is none. */
export function nextLink(header: string | undefined): string | undefined {
  if (header === undefined || header.length > HEADER_LENGTH_MAX) return undefined;
  let at = 0;
  while (at < header.length) {
    const open = header.indexOf('<', at);
    const close = open < 0 ? -1 : header.indexOf('>', open);
    if (close < 0) return undefined;
    const following = header.indexOf('<', close);
    const parameters = header.slice(close + 1, following < 0 ? undefined : following);
    if (isNext(parameters)) return header.slice(open + 1, close);
    at = following < 0 ? header.length : following;
  }
  return undefined;
}

function isNext(parameters: string): boolean {
  return parameters.split(/[;,]/).some((parameter) => {
    const [name = '', value = ''] = parameter.split('=', 2);
    if (name.trim().toLowerCase() !== 'rel') return false;
    const relations = value.trim().replaceAll('"', '').toLowerCase().split(/\s+/);
    return relations.includes('next');
  });
}
