import { z } from 'zod';
import { path } from '../forms.ts';

/** Who did what. */
export const audit = z.strictObject({
  file: path()
    .optional()
    .describe(
      'Where each act is told, a JSON line each: a file, made anew when it was moved away, or `-` for standard output.',
    ),
});
