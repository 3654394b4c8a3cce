import { z } from 'zod';
import { flag, word } from '../forms.ts';

export const log = z.strictObject({
  level: word('error', 'warn', 'info', 'debug').prefault('info').describe('The least that is logged.'),
  formatter: word('text', 'json').optional().describe('Text on a terminal and JSON elsewhere unless written.'),
  fields: z
    .record(z.string(), z.unknown().meta({ form: 'field' }))
    .prefault({})
    .describe('Added to every record.'),
  accesslog: z
    .strictObject({ disabled: flag().prefault('false').describe('Leaves out the record of each request.') })
    .prefault({}),
});
