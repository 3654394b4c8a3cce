import { z } from 'zod';
import { flag, form, listOf, text, word } from '../forms.ts';

const expression = () =>
  form('regular expression', 'a regular expression such as ^https://example\\.com/', (written) => {
    try {
      return new RegExp(written);
    } catch {
      return undefined; // Go knows some that JavaScript does not, such as (?i).
    }
  });

const platform = z.strictObject({
  os: text().describe('Such as linux.'),
  architecture: text().describe('Such as amd64.'),
});

/** As the official registry's, 3.x; `images` is not of there, and not what `disabled` is about. */
export const validation = z.strictObject({
  enabled: flag().prefault('false').describe('The old spelling: with it the checks are made whatever `disabled` says.'),
  disabled: flag().prefault('false').describe('Makes none of the checks of URLs and of indexes.'),
  manifests: z
    .strictObject({
      urls: z
        .strictObject({
          allow: listOf(expression())
            .prefault([])
            .describe(
              'A pushed manifest whose layers name URLs is refused unless each matches one of these, where there are any. Without `allow` and `deny` any are taken: they are never fetched.',
            ),
          deny: listOf(expression()).prefault([]).describe('It is refused where one of them matches one of these.'),
        })
        .prefault({}),
      indexes: z
        .strictObject({
          platforms: word('all', 'none', 'list')
            .prefault('all')
            .describe(
              'Which images that a pushed index lists must be in its repository: `list` asks for those of `platformlist`.',
            ),
          platformlist: z.array(platform).prefault([]).describe('Platforms whose images must be there; none asks for all.'),
        })
        .prefault({}),
      images: z
        .strictObject({
          blobs: word('all', 'none')
            .prefault('all')
            .describe(
              'Which blobs that a pushed image names must be in its repository. Not of the official registry, which asks for all.',
            ),
        })
        .prefault({}),
    })
    .prefault({}),
});
