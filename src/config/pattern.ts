/** What is wrong with a pattern, and what may have been meant. */
export interface PatternFault {
  readonly expected: string;
  readonly suggestion?: string;
}

const LENGTH_MAX = 512;
const EXPECTED_NAMES = 'expected a pattern over registry/repository, such as docker.io/library/*';

/**
 * Checks one `match` of a route: a glob over `registry/repository`, where `*` is a segment and `**` any number, without
 * negation, extglobs, braces or brackets; or `well-known`. `undefined` when it is sound (contract, *Configuration*).
 */
export function checkPattern(text: string): PatternFault | undefined {
  const fault = faultOf(text);
  const sound = fault?.suggestion === undefined || faultOf(fault.suggestion) === undefined;
  return fault === undefined || sound ? fault : { expected: fault.expected };
}

function faultOf(text: string): PatternFault | undefined {
  if (text === '**' || text === 'well-known') return undefined;
  const fault = checkGlob(text);
  if (fault !== undefined) return fault;
  if (!text.includes('/')) return withoutSlash(text);
  if (text !== text.toLowerCase()) return { expected: 'expected lower case, as all names are', suggestion: text.toLowerCase() };
  const hub = /^(?:index|registry-1)\.docker\.io\//;
  if (hub.test(text))
    return { expected: 'expected docker.io, as its images are called', suggestion: text.replace(hub, 'docker.io/') };
  if (/^https?:\/\//.test(text)) return { expected: EXPECTED_NAMES, suggestion: text.replace(/^https?:\/\//, '') };
  if (text.startsWith('/') || text.endsWith('/') || text.includes('//')) {
    const suggestion = `${text.replaceAll(/\/+/g, '/').replace(/^\//, '').replace(/\/$/, '')}`;
    return { expected: EXPECTED_NAMES, suggestion: suggestion.includes('/') ? suggestion : `${suggestion}/**` };
  }
  return undefined;
}

/** Checks a pattern of tags, as `immutable` holds: a glob of one segment. */
export function checkTagPattern(text: string): PatternFault | undefined {
  const fault = checkGlob(text);
  if (fault !== undefined) return fault;
  return text.includes('/') ? { expected: 'expected a pattern of tags, such as v*, without a slash' } : undefined;
}

/** Checks a pattern of images: one of repositories, and after a colon one of their tags; a colon before the last slash is a port. */
export function checkPinPattern(text: string): PatternFault | undefined {
  const colon = text.indexOf(':', text.lastIndexOf('/') + 1);
  const [repository, tag] = colon === -1 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
  // What is well known is a list of patterns, and no name.
  const fault = repository === 'well-known' ? { expected: EXPECTED_NAMES } : checkPattern(repository);
  const behind = tag === undefined ? '' : `:${tag}`;
  if (fault !== undefined)
    return fault.suggestion === undefined ? fault : { ...fault, suggestion: `${fault.suggestion}${behind}` };
  return tag === undefined ? undefined : checkTagPattern(tag);
}

/** Whether `wider` matches all that `narrower` does; false where that is not plain to see. */
export function covers(wider: string, narrower: string): boolean {
  if (wider === narrower || wider === '**') return true;
  const open = wider.endsWith('/**');
  const [head, rest] = [(open ? wider.slice(0, -3) : wider).split('/'), narrower.split('/')];
  if (open ? rest.length <= head.length : rest.length !== head.length) return false;
  return head.every((segment, at) => segment !== '**' && (segment === rest[at] || (segment === '*' && rest[at] !== '**')));
}

/** Whether some name may match both; true where that is not plain to see. */
export function overlaps(one: string, other: string): boolean {
  const [left, right] = [one.split('/'), other.split('/')];
  for (const [at, segment] of left.entries()) {
    const against = right[at];
    if (segment === '**' || against === '**') return true;
    if (against === undefined) return false;
    if (!segmentsOverlap(segment, against)) return false;
  }
  return left.length === right.length || right[left.length] === '**';
}

/** By what stands before the first `*` and behind the last. */
function segmentsOverlap(one: string, other: string): boolean {
  const [head, otherHead] = [one.split(/[*?]/)[0] ?? '', other.split(/[*?]/)[0] ?? ''];
  const isPlain = head === one;
  if (isPlain && otherHead === other) return one === other;
  const fits = head.startsWith(otherHead) || otherHead.startsWith(head);
  if (!fits) return false;
  const [tail, otherTail] = [one.split(/[*?]/).at(-1) ?? '', other.split(/[*?]/).at(-1) ?? ''];
  return tail.endsWith(otherTail) || otherTail.endsWith(tail);
}

function checkGlob(text: string): PatternFault | undefined {
  if (text === '') return { expected: 'expected a pattern, found nothing' };
  if (text.length > LENGTH_MAX) return { expected: `expected a pattern of at most ${LENGTH_MAX} characters` };
  if (text.startsWith('!')) return { expected: 'expected a pattern without negation: put a route with deny: true before it' };
  const odd = /[^A-Za-z0-9._:/*?-]/.exec(text)?.[0];
  if (odd !== undefined) {
    return {
      expected: `expected a pattern of names, * and **, found "${odd}": extglobs, braces and brackets are not understood`,
    };
  }
  if (/\*\*\*|[^/]\*\*|\*\*[^/]/.test(text)) {
    const suggestion = text
      .replaceAll(/\*{2,}/g, '**')
      .replaceAll(/([^/*])\*\*/g, '$1*')
      .replaceAll(/\*\*([^/*])/g, '*$1');
    return { expected: 'expected ** to be a segment of its own', suggestion };
  }
  return undefined;
}

/** `docker.io` matches nothing, since a repository always follows: most often all of that registry was meant. */
function withoutSlash(text: string): PatternFault {
  const expected = 'expected a pattern with a slash, over registry/repository (only ** and well-known stand alone)';
  if (text === 'wellknown' || text === 'well_known') return { expected, suggestion: 'well-known' };
  if (text === '*') return { expected, suggestion: '**' };
  const registry = text.includes('.') || text.includes(':') || text === 'localhost';
  return { expected, suggestion: registry ? `${text}/**` : `docker.io/library/${text}` };
}
