import { z } from 'zod';
import { form, percentage } from '../forms.ts';
import { guessSize, parseSize } from '../units.ts';

/** Less holds no usual layer, so that everything would pass by: most often a unit was mistaken. */
const MAXSIZE_MIN = 16 * 1024 * 1024;

export const cache = z.strictObject({
  maxsize: form(
    'size',
    'a size of 16MiB or more, such as 50GiB',
    (written) => {
      const bytes = parseSize(written);
      return bytes !== undefined && bytes >= MAXSIZE_MIN ? bytes : undefined;
    },
    guessSize,
  )
    .optional()
    .describe(
      'How much cached blobs, partial fills and quarantine may take together; not what was pushed here, nor metadata. Without it as much as the watermarks leave of the disk.',
    ),
  watermarks: z
    .strictObject({
      high: percentage(2, 100)
        .optional()
        .describe(
          'Above it the least recently used goes: a share of `maxsize`, 95% unless written; without `maxsize` of the disk, whoever fills it, and then 80%.',
        ),
      low: percentage(1, 99)
        .optional()
        .describe('Until this is reached; 85% of `maxsize` unless written, without `maxsize` 75% of the disk.'),
    })
    .prefault({}),
  keepfree: percentage(0, 90)
    .prefault('10%')
    .describe('Share of the disk, and of its inodes, that the cache leaves free whatever `maxsize` says.'),
});
