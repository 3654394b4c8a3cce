import { describe, expect, test } from 'vitest';
import { auditLine, type Audited, type AuditRecord } from '../../../src/observe/audit.ts';
import type { RequestEvent } from '../../../src/observe/events.ts';
import { requestEvent, TRACE } from './recorder.ts';

const NOW = Date.UTC(2026, 0, 2);

function recordOf(event: Audited): AuditRecord | undefined {
  const line = auditLine(event, NOW);
  if (line === undefined) return undefined;
  expect(line).toMatch(/^\{.*\}\n$/);
  return JSON.parse(line) as AuditRecord;
}

const request = (over: Partial<RequestEvent> = {}): RequestEvent => requestEvent({ user: 'user:ann', ...over });

const asked = { requestId: 'r1', client: '192.0.2.1' };

describe('the audit', () => {
  test('has the same fields for every act', () => {
    const whole = {
      time: '2026-01-02T00:00:00.000Z',
      msg: 'audit',
      action: 'pull',
      result: 'allowed',
      subject: 'user:ann',
      client: '10.0.0.7',
      repository: 'docker.io/library/alpine',
      reference: 'latest',
      digest: TRACE.digest,
      request_id: 'r1',
      reason: null,
    };
    expect(recordOf(request())).toEqual(whole);
    const nothing = { client: null, repository: null, digest: null, request_id: null, reason: null };
    expect(recordOf({ kind: 'command', command: 'token create', name: 'ci' })).toEqual({
      ...whole,
      ...nothing,
      action: 'token create',
      subject: 'administrator',
      reference: 'ci',
    });
  });

  const sent = (handler: string, method: string, status: number, over: Partial<RequestEvent> = {}) =>
    request({ handler, method, status, ...over });
  test.each([
    ['a pull', sent('blob', 'GET', 206), 'pull allowed'],
    ['a pull that broke off', sent('blob', 'GET', 200, { aborted: true }), 'pull allowed broken off'],
    ['a pull of what is not there', sent('manifest', 'GET', 404), 'pull failed status 404'],
    [
      'a pull by a route that denies',
      sent('manifest', 'GET', 403, { trace: { ...TRACE, outcome: 'denied' } }),
      'pull denied status 403',
    ],
    [
      'what its address’s limit refused',
      sent('other', 'GET', 429, { user: undefined, limited: 'address', trace: { ...TRACE, repository: undefined } }),
      'limit denied too much of this address',
    ],
    [
      'what an account’s limit refused',
      sent('manifest', 'HEAD', 429, { limited: 'account', trace: { ...TRACE, repository: undefined } }),
      'limit denied too much of this account',
    ],
    ['a HEAD', sent('manifest', 'HEAD', 200), undefined],
    ['a manifest that is pushed', sent('manifest', 'PUT', 201), 'push allowed'],
    ['one that is refused', sent('manifest', 'PUT', 400), 'push failed status 400'],
    ['an upload that begins', sent('upload', 'POST', 202), undefined],
    ['one that goes on', sent('upload', 'PATCH', 202), undefined],
    ['one that ends', sent('upload', 'PUT', 201), 'push allowed'],
    ['a mount', sent('upload', 'POST', 201), 'push allowed'],
    ['one over its quota', sent('upload', 'POST', 403), 'push denied status 403'],
    ['one that is asked after', sent('upload', 'GET', 204), undefined],
    ['one that is cancelled', sent('upload', 'DELETE', 204), undefined],
    ['a manifest that is deleted', sent('manifest', 'DELETE', 202), 'delete allowed'],
    ['a blob that is deleted', sent('blob', 'DELETE', 202), 'delete allowed'],
    ['a list', sent('tags', 'GET', 200), undefined],
    [
      'what was refused before it was looked at',
      sent('manifest', 'GET', 404, { trace: { ...TRACE, repository: undefined } }),
      undefined,
    ],
    [
      'a wrong password',
      { kind: 'sign-in', way: 'password', result: 'refused', ...asked, user: 'ann' },
      'sign-in failed wrong password',
    ],
    [
      'too many of them',
      { kind: 'sign-in', way: 'password', result: 'limited', ...asked, user: undefined },
      'sign-in denied password not looked at: too many were wrong, or came at once',
    ],
    ['a right one', { kind: 'sign-in', way: 'password', result: 'ok', ...asked, user: 'ann' }, undefined],
    ['rules that were read again', { kind: 'reloaded', config: '/etc/c.yml', restart: [] }, 'reload allowed /etc/c.yml'],
    ['rules that could not be', { kind: 'reload-failed', config: '/etc/c.yml', message: 'wrong' }, undefined],
    ['users', { kind: 'htpasswd-read', path: '/etc/users', users: 2, warnings: [] }, 'reload allowed /etc/users'],
    [
      'a start',
      { kind: 'listening', addresses: {}, config: '/etc/c.yml', rootdirectory: '/d', version: '1' },
      'start allowed /etc/c.yml',
    ],
    ['what the house does by itself', { kind: 'quarantined', digest: 'sha256:ab', why: 'wrong' }, undefined],
  ] satisfies [string, Audited, string | undefined][])('%s', (_what, event, expected) => {
    const record = recordOf(event);
    expect(record && [record.action, record.result, record.reason].filter((text) => text !== null).join(' ')).toBe(expected);
  });

  test('says who was denied what', () => {
    const denied = { kind: 'denied', action: 'push', reason: 'access', subject: 'user:ben', ...asked } as const;
    expect(recordOf({ ...denied, holder: 'docker.io/library/alpine', reference: 'v1' })).toMatchObject({
      action: 'push',
      result: 'denied',
      subject: 'user:ben',
      client: '192.0.2.1',
      repository: 'docker.io/library/alpine',
      reference: 'v1',
      request_id: 'r1',
      reason: 'access',
    });
  });

  test('says who was not believed, where there is somebody of that name', () => {
    const wrong = { kind: 'sign-in', way: 'password', result: 'refused', ...asked } as const;
    expect(recordOf({ ...wrong, user: 'ann' })).toMatchObject({ subject: 'user:ann', client: '192.0.2.1' });
    expect(recordOf({ ...wrong, user: undefined })).toMatchObject({ subject: null, client: '192.0.2.1' });
  });

  test('[S49] holds no secret that stands in what it is told', () => {
    const secret = `entrepot_0123456789abcdef_${'s'.repeat(49)}`;
    const line = auditLine({ kind: 'command', command: 'pin', name: secret }, NOW);
    expect(line).toContain('entrepot_0123456789abcdef_***');
    expect(line).not.toContain(secret);
  });

  test('[S47] is one line whatever a name holds', () => {
    expect(recordOf({ kind: 'command', command: 'pin', name: 'a\n{"msg":"audit"}' })?.reference).toBe('a\n{"msg":"audit"}');
  });
});
