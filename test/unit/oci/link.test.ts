import { expect, test } from 'vitest';
import { formatNextLink, nextLink } from '../../../src/oci/link.ts';

test.each([
  ['</v2/a/tags/list?n=2&last=b>; rel="next"', '/v2/a/tags/list?n=2&last=b'],
  ['<https://quay.io/v2/a/tags/list?next_page=x>; rel=next', 'https://quay.io/v2/a/tags/list?next_page=x'],
  ['</a>;REL="Next"', '/a'],
  ['</a>; title="x; rel=prev, <b>"; rel="prev next"', '/a'],
  ['</a>; rel="prev", </b,c>; rel="next"', '/b,c'],
  ['</a>; rel="prev"; rel="next"', undefined],
  ['</a>; rel="nextish"', undefined],
  ['</a>; title="\\"; rel=next"', undefined],
  ['</a>', undefined],
  ['</a>, </b>; rel=next', '/b'],
  ['<>; rel=next', ''],
  ['</a; rel=next', undefined],
  ['rel=next', undefined],
  ['', undefined],
  [undefined, undefined],
])('[P87] the next page of %s is %s', (header, target) => {
  expect(nextLink(header)).toBe(target);
});

test.each([
  ['/v2/a/tags/list?n=2&last=b&ns=docker.io', '/v2/a/tags/list?n=2&last=b&ns=docker.io'],
  ['/a%20b', '/a%20b'],
  ['/a>; rel="prev"\r\nx: y', '/a%3E;%20rel=%22prev%22%0D%0Ax:%20y'],
  ['/ü\u{1F600}\uD800', '/%C3%BC%F0%9F%98%80%EF%BF%BD'],
])('[P87] [S21] [CVE-2026-47675] a link to %j cannot leave its brackets', (url, safe) => {
  expect(formatNextLink(url)).toBe(`<${safe}>; rel="next"`);
});
