import { describe, expect, test } from 'vitest';
import { createSignatureStore } from '../../../src/compose/signature-store.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import type { Content } from '../../../src/pull/content.ts';
import type { PullRequest } from '../../../src/pull/pull.ts';
import type { Reply } from '../../../src/pull/reply.ts';
import { blobOf, MEDIA_TYPE } from '../../fakes/images.ts';

const place = { registry: 'a.test', repository: 'b' };
const { signal } = new AbortController();
const { digest } = blobOf(Buffer.from('x'));
const nobody = (): Promise<never> => Promise.reject(new Error('nobody asks for this'));
type Pull = (request: PullRequest) => Promise<Reply>;

const storeOf = (parts: { readonly pull?: Pull; readonly referrers?: (query: URLSearchParams) => Promise<Reply> }) =>
  createSignatureStore(() => ({
    pull: parts.pull ?? nobody,
    lists: {
      tags: nobody,
      catalog: nobody,
      search: nobody,
      referrers: (_name, _digest, query) => (parts.referrers ?? nobody)(query),
    },
  }));

const bytesReply = (body: string, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status: 200,
  headers: { 'content-type': MEDIA_TYPE.ociIndex, ...headers },
  body: { kind: 'bytes', bytes: Buffer.from(body) },
});

/** Bytes that come in pieces of `piece`. */
function contentReply(bytes: Uint8Array, piece: number, closed: string[] = []): Reply {
  const content: Content = {
    digest,
    size: undefined,
    etag: '',
    async open() {
      let at = 0;
      return {
        async read(into) {
          const part = bytes.subarray(at, at + Math.min(piece, into.byteLength));
          into.set(part);
          at += part.byteLength;
          return part.byteLength;
        },
        close: () => void closed.push('closed'),
      };
    },
  };
  return { status: 200, headers: {}, body: { kind: 'content', content, from: 0, to: undefined } };
}

describe('what judges read', () => {
  test('is asked of nobody’s right, and unjudged', async () => {
    const asked: PullRequest[] = [];
    const pull: Pull = async (request) => {
      asked.push(request);
      return bytesReply('{}');
    };
    await storeOf({ pull }).manifest(place, 'sha256-1.sig', signal);
    expect(asked).toMatchObject([
      { method: 'GET', unjudged: true, target: { reference: { kind: 'tag', tag: 'sha256-1.sig' } } },
    ]);
    expect(asked[0]).not.toHaveProperty('client');
  });

  const both = (error: RegistryError) => {
    const store = storeOf({ pull: () => Promise.reject(error) });
    return [store.manifest(place, digest, signal), store.blob(place, digest, 10, signal)];
  };

  test.each([
    ['a reference', new RegistryError('MANIFEST_UNKNOWN', 'not there')],
    ['a name', new RegistryError('NAME_UNKNOWN', 'not there', { detail: { tried: [] } })],
  ])('%s that is not there', async (_, error) => {
    for (const answer of both(error)) await expect(answer).resolves.toBeUndefined();
  });

  test.each([
    ['is not held, and nobody may be asked', new RegistryError('MANIFEST_UNKNOWN', 'not held', { detail: { offline: true } })],
    ['could not be fetched', new RegistryError('UNAVAILABLE', 'down')],
    ['is refused to us', new RegistryError('DENIED', 'no')],
    ['is limited', new RegistryError('TOOMANYREQUESTS', 'slow down')],
  ])('what %s may be there', async (_, error) => {
    for (const answer of both(error)) await expect(answer).rejects.toBe(error);
  });

  test.each([
    [10, 10, '0123456789'],
    [3, 10, '0123456789'],
    [3, 9, undefined],
    [100, 9, undefined],
  ])('a blob in pieces of %i, of which %i bytes may come', async (piece, bytesMax, expected) => {
    const closed: string[] = [];
    const store = storeOf({ pull: async () => contentReply(Buffer.from('0123456789'), piece, closed) });
    const bytes = await store.blob(place, digest, bytesMax, signal);
    expect(bytes === undefined ? undefined : Buffer.from(bytes).toString()).toBe(expected);
    expect(closed).toEqual(['closed']);
  });

  test('a list of referrers is read to its end, page by page, and no further than ten', async () => {
    const pages = (count: number) => {
      const asked: string[] = [];
      const referrers = async (query: URLSearchParams): Promise<Reply> => {
        asked.push(query.toString());
        const body = JSON.stringify({ schemaVersion: 2, manifests: [{ size: asked.length }] });
        return bytesReply(body, asked.length < count ? { link: `</v2/b/referrers/x?last=${asked.length}>; rel="next"` } : {});
      };
      return { asked, store: storeOf({ referrers }) };
    };
    const three = pages(3);
    const list = JSON.parse(Buffer.from(await three.store.referrers(place, digest, signal)).toString()) as {
      manifests: unknown;
    };
    expect(list.manifests).toEqual([{ size: 1 }, { size: 2 }, { size: 3 }]);
    expect(three.asked).toEqual(['', 'last=1', 'last=2']);
    const many = pages(100);
    await many.store.referrers(place, digest, signal);
    expect(many.asked).toHaveLength(10);
  });

  test('a list that cannot be had rejects', async () => {
    const error = new RegistryError('UNAVAILABLE', 'down');
    await expect(storeOf({ referrers: () => Promise.reject(error) }).referrers(place, digest, signal)).rejects.toBe(error);
  });
});
