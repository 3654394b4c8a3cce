import { expect, test } from 'vitest';
import { load, refusal } from './load.ts';

const validation = (written: string): string => `validation: ${written}\n`;
const indexes = (written: string): string => validation(`{ manifests: { indexes: ${written} } }`);
const urls = (written: string): string => validation(`{ manifests: { urls: ${written} } }`);

test.each([
  ['version: 0.1', 'all'],
  [indexes('{ platforms: all }'), 'all'],
  [indexes('{ platforms: none }'), 'none'],
  [
    indexes('{ platforms: List, platformlist: [{ os: linux, architecture: amd64 }] }'),
    [{ os: 'linux', architecture: 'amd64' }],
  ],
  // As there: a list of nothing is no list.
  [indexes('{ platforms: list }'), 'all'],
  [validation('{ disabled: true }'), 'none'],
  [validation('{ enabled: true, disabled: true }'), 'all'],
])('%s asks for these images of an index', async (written, children) => {
  expect((await load(written)).validation).toEqual({ children, blobs: 'all', urls: undefined });
});

test('the blobs of an image must be there unless it says none', async () => {
  const written = '{ disabled: true, manifests: { images: { blobs: none } } }';
  expect((await load(validation(written))).validation).toEqual({ children: 'none', blobs: 'none', urls: undefined });
});

test('URLs are matched by expressions, unless the checks are disabled', async () => {
  const written = '{ allow: ["^https://a/"], deny: ["^https://a/b"] }';
  expect((await load(urls(written))).validation.urls).toEqual({ allow: [/^https:\/\/a\//], deny: [/^https:\/\/a\/b/] });
  const off = await load(`validation: { disabled: true, manifests: { urls: ${written} } }`);
  expect(off.validation.urls).toBeUndefined();
});

test.each([
  [urls('{ allow: ["("] }'), 'validation.manifests.urls.allow[0]: expected a regular expression'],
  [urls('{ deny: ["(?i)a"] }'), 'validation.manifests.urls.deny[0]: expected a regular expression'],
  [indexes('{ platforms: some }'), 'validation.manifests.indexes.platforms: expected one of all, none, list'],
  [indexes('{ platforms: list, platformlist: [{ os: linux }] }'), 'platformlist[0].architecture: is missing'],
  [validation('{ manifests: { images: { blobs: list } } }'), 'validation.manifests.images.blobs: expected one of all, none'],
  [validation('{ manifest: {} }'), 'did you mean "manifests"?'],
  ['storage: { maintenance: { readonly: { enable: true } } }', 'did you mean "enabled"?'],
])('%s is refused', async (written, message) => {
  expect(await refusal(written)).toContain(message);
});

test('a list that nobody asks for is told', async () => {
  const { warnings } = await load(indexes('{ platformlist: [{ os: linux, architecture: amd64 }] }'));
  expect(warnings).toEqual([expect.stringContaining('platformlist has no effect here')]);
});

test('read-only is off unless written', async () => {
  expect((await load('version: 0.1')).storage.readonly).toBe(false);
  expect((await load('storage: { maintenance: { readonly: { enabled: true } } }')).storage.readonly).toBe(true);
});
