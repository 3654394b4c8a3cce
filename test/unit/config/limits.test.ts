import { describe, expect, test } from 'vitest';
import { load, refusal, ROUTES } from './load.ts';

const NONE = { rate: undefined, concurrent: undefined };

describe('how much one client may ask for', () => {
  test('is as much as it likes unless it is written', async () => {
    expect((await load(ROUTES)).limits).toEqual({ address: NONE, subject: NONE, uploads: undefined });
  });

  test('what is written is taken; a burst is what ten seconds bring', async () => {
    const written = 'limits: { address: { rate: 600/m, concurrent: 20 }, subject: { rate: 5, burst: 7 }, uploads: 3 }';
    expect((await load(`${written}\n${ROUTES}`)).limits).toEqual({
      address: { rate: { perSecond: 10, burst: 100 }, concurrent: 20 },
      subject: { rate: { perSecond: 5, burst: 7 }, concurrent: undefined },
      uploads: 3,
    });
    const slow = await load(`limits: { address: { rate: 10/h } }\n${ROUTES}`);
    expect(slow.limits.address.rate?.burst).toBe(1);
  });

  test.each([
    ['limits: { address: { burst: 5 } }', 'config.yml:1:29: limits.address.burst: expected rate besides'],
    [
      'limits: { subject: { concurrent: 0 } }',
      'config.yml:1:34: limits.subject.concurrent: expected a whole number from 1 to 1000000',
    ],
    [
      'limits: { address: { rate: fast } }',
      'config.yml:1:28: limits.address.rate: expected how often, such as 10 (a second), 600/m or 5000/h',
    ],
    ['limits: { upload: 3 }', 'config.yml:1:11: limits.upload: is not a key here; did you mean "uploads"?'],
  ])('%s', async (yaml, message) => {
    expect(await refusal(`${yaml}\n${ROUTES}`)).toBe(message);
  });
});

describe('the audit', () => {
  test('is a file beside the configuration, or standard output, or nothing', async () => {
    const fileOf = async (yaml: string): Promise<string | undefined> => (await load(`${yaml}\n${ROUTES}`)).audit.file;
    expect(await fileOf('')).toBeUndefined();
    expect(await fileOf('audit: { file: audit.log }')).toMatch(/^\/.*\/audit\.log$/);
    expect(await fileOf('audit: { file: /var/log/audit.log }')).toBe('/var/log/audit.log');
    expect(await fileOf('audit: { file: "-" }')).toBe('-');
    expect(await fileOf('audit: { file: /dev/stdout }')).toBe('-');
  });
});
