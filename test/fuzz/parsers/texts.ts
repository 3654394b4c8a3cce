import { formatText } from '../../../src/observe/text-format.ts';
import { redact, redactText } from '../../../src/observe/redact.ts';
import { dumpedLink } from '../../../src/metadata/dump.ts';
import * as forms from '../../../src/metadata/forms.ts';
import { bytesOf, demand, utf8Of, type Parser } from '../parser.ts';

const CANARY = 'c4n4ry';

/** What a stranger wrote, on its way into the log. */
const log: Parser = {
  name: 'log',
  covers: ['redact', 'redactText', 'formatText'],
  words: [
    'https://',
    'user:pass@',
    '?token=',
    'Basic ',
    'Bearer ',
    'a.',
    '://',
    'entrepot_0123456789abcdef_',
    '\n',
    '\u001b[31m',
    '{"level":"error"}',
  ],
  longest: 32 * 1024,
  read(input) {
    const text = utf8Of(input);
    redactText(text);
    const said = redactText(
      `${text.slice(0, 4000)} https://ann:${CANARY}@a.test/x?sig=${CANARY} Basic ${CANARY}AAAA Bearer ${CANARY}AAAA`,
    );
    demand(!said.includes(CANARY), 'no secret is told, whatever stands before it');
    const fields = redact({ path: text, tried: [{ upstream: 'hub', error: text }], password: text, error: new Error(text) });
    demand(text === '' || fields['password'] === '***', 'a password is hidden');
    const line = formatText(JSON.stringify({ time: 't', level: 'info', msg: text, ...fields }));
    demand(line.indexOf('\n') === line.length - 1, 'a record is one line');
    demand(!/\p{Cc}/u.test(line.slice(0, -1)), 'without what terminals obey');
    formatText(text);
    return `${said.includes('***')} ${said.length < text.length}`;
  },
};

const FORMS = Object.entries(forms).flatMap(([name, form]) => (typeof form === 'object' ? [[name, form] as const] : []));
const FIELDS =
  'digest mediaType size checked upstream kind by state at public text created used hash name subject headers body key';

/** What may stand in a store, or in a backup, that somebody has damaged. */
const records: Parser = {
  name: 'records',
  covers: ['dumpedLink'],
  words: [
    ...FIELDS.split(' ').map((name) => `"${name}":`),
    ...[
      '"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
      '"blob"',
      '"manifest"',
      '1',
      'true',
      '"x"',
      '{',
      '}',
      ',',
      '[',
      ']',
    ],
    ...['"slot":"repository/a"', '"collection":"links"', '"id":', '"text":', '"base64":'],
  ],
  longest: 64 * 1024,
  // As all kinds of record, one after the other.
  msMax: 500,
  read(input) {
    const bytes = bytesOf(input);
    const shapes = FORMS.map(([name, form]) => {
      const found = form.decode(bytes) as object | undefined;
      if (found === undefined) return '';
      demand(form.decode(form.encode(found as never)) !== undefined, 'what was read can be written');
      return name;
    });
    try {
      const link = dumpedLink(utf8Of(input));
      if (link !== undefined) demand(Number.isSafeInteger(link.size) && link.size >= 0, 'a size is one');
      shapes.push(link === undefined ? 'no link' : 'link');
    } catch (error) {
      // A backup's line that is none ends its restore.
      if (!(error instanceof SyntaxError) && !/a line of the metadata is no entry/.test(String(error))) throw error;
    }
    return shapes.join(' ').trim();
  },
};

export const texts: readonly Parser[] = [log, records];
