import { z } from 'zod';
import { count, rate } from '../forms.ts';

const allowance = (of: string) =>
  z
    .strictObject({
      rate: rate()
        .optional()
        .describe(`Requests of ${of} per second, or \`600/m\`, \`5000/h\`; who would wait over a second is refused (429).`),
      burst: count(1, 1_000_000)
        .optional()
        .describe('So many at once before the rate counts; without it what ten seconds bring.'),
      concurrent: count(1, 1_000_000)
        .optional()
        .describe(`Requests of ${of} at once, until their answers have left; as many more wait for up to a second.`),
    })
    .prefault({});

/** How much one client may ask for. */
export const limits = z.strictObject({
  address: allowance('one address (of IPv6 a /64), as trusted proxies tell it,'),
  subject: allowance('one user, machine token or CI job'),
  uploads: count(1, 10_000)
    .optional()
    .describe('Uploads in progress that one user, or an address that has not signed in, may have; refused where they begin.'),
});
