import { describe, expect, test } from 'vitest';
import { envelopeOf, EVENT_BYTES_MAX, eventText } from '../../../src/events/envelope.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { change, endpoint } from './scene.ts';

const making = {
  id: 'e1',
  at: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  source: { addr: 'h:5000', instanceID: 'i' },
  includeReferences: true,
};
const event = (...of: Parameters<typeof change>): Record<string, unknown> & { target: Record<string, unknown> } =>
  JSON.parse(eventText(change(...of), making)) as never;

describe('an event', () => {
  test('has the fields that the official registry gives it', () => {
    const digest = digestOf(Buffer.from('v1'));
    expect(event('v1', { actor: 'ann' })).toEqual({
      id: 'e1',
      timestamp: '2026-01-02T03:04:05.006Z',
      action: 'push',
      target: {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest,
        size: 2,
        length: 2,
        repository: 'team/app',
        url: `https://registry.test/v2/team/app/manifests/${digest}`,
        tag: 'v1',
      },
      request: { id: 'r1', addr: '10.0.0.7', host: 'registry.test', method: 'PUT', useragent: 'docker/29' },
      actor: { name: 'ann' },
      source: { addr: 'h:5000', instanceID: 'i' },
    });
  });

  test('of a mount says from where, of a deleted tag no more than the tag', () => {
    expect(event('x', { action: 'mount', kind: 'blob', fromRepository: 'team/base', tag: undefined }).target).toMatchObject({
      fromRepository: 'team/base',
      url: expect.stringContaining('/blobs/sha256:') as string,
    });
    const deleted = event('x', { action: 'delete', digest: undefined, mediaType: undefined, size: undefined });
    expect(deleted.target).toEqual({ repository: 'team/app', tag: 'x' });
    expect(event('x', { action: 'delete' }).target).toEqual({ repository: 'team/app', tag: 'x' });
    const gone = event('x', { action: 'delete', tag: undefined });
    expect(gone.target).toEqual({ repository: 'team/app', digest: digestOf(Buffer.from('x')) });
  });

  test('tells references where they are asked for, as far as there is room', () => {
    const one = { mediaType: 'a/b', digest: digestOf(Buffer.from('l')), size: 7 };
    const references = (count: number) => ({ references: Array.from({ length: count }, () => one) });
    expect(event('x', references(1)).target['references']).toEqual([one]);
    expect(JSON.parse(eventText(change('x', references(1)), { ...making, includeReferences: false }))).not.toHaveProperty(
      'target.references',
    );
    const text = eventText(change('x', references(10_000)), making);
    expect(Buffer.byteLength(text)).toBeLessThan(EVENT_BYTES_MAX);
    expect(JSON.parse(text)).not.toHaveProperty('target.references');
  });

  test("what a client made up is one line of JSON, at no client's length", () => {
    const text = eventText(
      change('x', { request: { id: 'r', method: 'GET', useragent: `"}]}\n\u001B[2J${'x'.repeat(100_000)}` } }),
      making,
    );
    expect(text).not.toContain('\n');
    expect(text).not.toContain('\u001B');
    expect(text.length).toBeLessThan(3_000);
  });
});

describe('an envelope', () => {
  test('holds one event under the type of version 2', () => {
    const { headers, body } = envelopeOf(endpoint({ headers: { 'Content-Type': ['x/y'], 'X-A': ['1', '2'] } }), '{"id":"e"}');
    expect(Buffer.from(body).toString()).toBe('{"events":[{"id":"e"}]}');
    expect(headers).toEqual({
      'user-agent': ['entrepot'],
      'content-type': ['application/vnd.docker.distribution.events.v2+json'],
      'x-a': ['1', '2'],
    });
  });

  /** Computed by `printf '{"events":[{}]}' | openssl dgst -sha256 -hmac hush`. */
  const HUSH = 'a659b520a9a024629379b377962d2f725aac97ed271b216d0c8d75e66d5f4c57';

  test('is signed as GitHub signs its webhooks, whatever headers are written', () => {
    const { headers } = envelopeOf(endpoint({ secret: 'hush', headers: { 'X-Hub-Signature-256': ['sha256=forged'] } }), '{}');
    expect(headers['x-hub-signature-256']).toEqual([`sha256=${HUSH}`]);
  });
});
