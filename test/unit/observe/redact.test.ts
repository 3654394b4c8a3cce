import { describe, expect, test } from 'vitest';
import { Secret } from '../../../src/config/secret.ts';
import { redactText } from '../../../src/observe/redact.ts';
import { recordingLog } from './recorder.ts';

const CANARY = 'cAnArY123456';

describe('redact', () => {
  test.each([
    [`connect https://user:${CANARY}@registry.test/v2/`, 'connect https://***@registry.test/v2/'],
    [`GET https://s3.test/b?X-Amz-Signature=${CANARY}&x=1 failed`, 'GET https://s3.test/b failed'],
    [`redis://:${CANARY}@10.0.0.1:6379/0`, 'redis://***@10.0.0.1:6379/0'],
    [`no such token entrepot_0123456789abcdef_${CANARY}-_x: see`, 'no such token entrepot_0123456789abcdef_***: see'],
    [`Authorization: Bearer ${CANARY}.x-y_z==`, 'Authorization: Bearer ***'],
    [`sent Basic ${CANARY}= twice`, 'sent Basic *** twice'],
    [`https://https://u:${CANARY}@a.test/b?c`, 'https://https://***@a.test/b'],
    ['a basic thing, and a bearer of news', 'a basic thing, and a bearer of news'],
    ['docker.io/library/alpine:latest', 'docker.io/library/alpine:latest'],
  ])('%s', (text, expected) => {
    expect(redactText(text)).toBe(expected);
  });

  test.each(['a.', '-a', 'https://', 'a://@', '://?'])(
    '[S27] 8 KiB of %j, as a client may call itself, are read once',
    (piece) => {
      const text = `${piece.repeat(8100 / piece.length)}://`;
      const ms = Array.from({ length: 7 }, () => {
        const started = performance.now();
        redactText(text);
        return performance.now() - started;
      });
      // 60 ms it was, and the loop stood still for each field of each request.
      expect(Math.min(...ms)).toBeLessThan(3);
    },
  );

  test('[GHSA-c37v-3c8w-crq8] [GHSA-qcmj] no canary leaves in any field of any record', () => {
    const { log, lines } = recordingLog();
    const cause = new Error(`https://token.test/?password=${CANARY}`);
    log.error('credentials refused', {
      password: CANARY,
      passwordfile: '/run/secrets/hub',
      token: CANARY,
      refresh_token: CANARY,
      clientSecret: CANARY,
      headers: { authorization: `Basic ${CANARY}`, 'set-cookie': CANARY, Cookie: CANARY },
      deep: [{ upstreams: [{ url: `https://u:${CANARY}@x.test`, secret: new Secret(CANARY) }] }],
      error: new Error(`could not sign in with Bearer ${CANARY}`, { cause }),
      value: new Secret(CANARY),
    });
    expect(lines.join('')).not.toContain(CANARY);
    expect(lines.join('')).toContain('/run/secrets/hub');
    expect(lines.join('')).toContain('https://token.test/');
  });

  test('a record that refers to itself, or is too deep, is cut and not an error', () => {
    const { log, lines } = recordingLog();
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    log.error('odd', { loop, big: 1n, bytes: new Uint8Array(3), nothing: undefined });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ big: '1', bytes: '3 bytes', msg: 'odd' });
  });
});
