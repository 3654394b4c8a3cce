import { describe, expect } from 'vitest';
import { MEDIA_TYPE } from '../fakes/images.ts';
import { scenario } from './harness.ts';
import { ALPINE, refusalOf } from './paths.ts';
import { routesTo } from './settings.ts';

const TAGS = `/v2/docker.io/${ALPINE}/tags/list`;
const asking = {
  settings: (upstream: { url: string }) => routesTo(upstream, { tagttl: '0s', retry: '0s', negativettl: '0s' }),
};

interface TagList {
  readonly name: string;
  readonly tags: readonly string[] | null;
}

describe('tags', () => {
  scenario('[P85] under the name that was asked for, and kept', async ({ upstream, server }) => {
    for (const tag of ['1', '2', '3']) upstream.image(ALPINE, tag);
    for (const _ of [1, 2]) {
      const reply = await server.get(TAGS);
      expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/json']);
      expect(await reply.json<TagList>()).toEqual({ name: `docker.io/${ALPINE}`, tags: ['1', '2', '3'] });
    }
    expect(upstream.hits('tags')).toBe(1);
  });

  scenario('[P86] n=0', async ({ upstream, server }) => {
    upstream.image(ALPINE, '1');
    const reply = await server.get(`${TAGS}?n=0`);
    expect([reply.headers.link, (await reply.json<TagList>()).tags]).toEqual([undefined, []]);
  });

  for (const link of ['relative', 'absolute'] as const) {
    scenario(`[P87] pages stay on the mirror (upstream links are ${link})`, async ({ upstream, server }) => {
      upstream.lists({ link });
      for (const tag of ['1', '2', '3', '4', '5']) upstream.image(ALPINE, tag);
      const seen: string[] = [];
      let path: string | undefined = `/v2/${ALPINE}/tags/list?n=2&ns=docker.io`;
      for (let pages = 0; path !== undefined && pages < 5; pages++) {
        const reply = await server.get(path);
        seen.push(...((await reply.json<TagList>()).tags ?? []));
        path = /^<(\/[^>]*)>; ?rel="?next"?$/.exec(String(reply.headers.link ?? ''))?.[1];
        if (path !== undefined) expect(path).toMatch(new RegExp(`^/v2/${ALPINE}/tags/list\\?.*ns=docker\\.io`));
      }
      expect(seen).toEqual(['1', '2', '3', '4', '5']);
    });
  }

  scenario('[P88] last', async ({ upstream, server }) => {
    for (const tag of ['a', 'c', 'd']) upstream.image(ALPINE, tag);
    expect((await (await server.get(`${TAGS}?last=a`)).json<TagList>()).tags).toEqual(['c', 'd']);
    expect((await (await server.get(`${TAGS}?last=b`)).json<TagList>()).tags).toEqual(['c', 'd']);
  });

  scenario('[P89] n that is no number', async ({ upstream, server }) => {
    upstream.image(ALPINE, '1');
    for (const n of ['-1', 'abc'])
      expect(await refusalOf(await server.get(`${TAGS}?n=${n}`))).toBe('400 PAGINATION_NUMBER_INVALID');
  });

  scenario('[P90] a huge n', async ({ upstream, server }) => {
    upstream.lists({ pageSize: 2 });
    for (const tag of ['1', '2', '3']) upstream.image(ALPINE, tag);
    const reply = await server.get(`${TAGS}?n=100000`);
    expect(reply.status).toBe(200);
    const { tags } = await reply.json<TagList>();
    expect(tags!.length === 3 || reply.headers.link !== undefined).toBe(true);
  });

  scenario('[P91] null is an empty list', async ({ upstream, server }) => {
    upstream.lists({ nullTags: true });
    upstream.blob(ALPINE, Buffer.from('x'));
    expect((await (await server.get(TAGS)).json<TagList>()).tags).toEqual([]);
  });

  scenario('[P92] of no repository', async ({ server }) => {
    expect(await refusalOf(await server.get(TAGS))).toBe('404 NAME_UNKNOWN');
  });

  scenario(
    '[P93] with the upstream gone',
    async ({ upstream, server }) => {
      upstream.image(ALPINE, '1');
      await (await server.get(TAGS)).bytes();
      await upstream.down();
      expect((await (await server.get(TAGS)).json<TagList>()).tags).toEqual(['1']);
      expect((await server.get('/v2/docker.io/library/other/tags/list')).status).toBe(502);
    },
    asking,
  );
});

describe('referrers', () => {
  const path = (digest: string, query = ''): string => `/v2/docker.io/${ALPINE}/referrers/${digest}${query}`;
  interface Index {
    readonly manifests: readonly { readonly digest: string }[];
  }

  scenario('[P94] [P95] [P99] from the API, filtered upstream', async ({ upstream, server }) => {
    const { top } = upstream.image(ALPINE, '3');
    const sig = upstream.referrer(ALPINE, top, 'application/x.sig');
    const sbom = upstream.referrer(ALPINE, top, 'application/x.sbom');
    const all = await server.get(path(top.digest));
    expect([all.status, all.headers['content-type'], all.headers['oci-filters-applied']]).toEqual([
      200,
      MEDIA_TYPE.ociIndex,
      undefined,
    ]);
    expect((await all.json<Index>()).manifests.map(({ digest }) => digest)).toEqual([sig.digest, sbom.digest]);
    const some = await server.get(path(top.digest, '?artifactType=application/x.sbom'));
    expect(some.headers['oci-filters-applied']).toBe('artifactType');
    expect((await some.json<Index>()).manifests.map(({ digest }) => digest)).toEqual([sbom.digest]);
  });

  for (const how of ['off', 'redirect'] as const) {
    scenario(
      `[P96] [P97] ${how === 'off' ? 'without the API' : 'redirected to a page for people'}: the fallback tag`,
      async (stage) => {
        const { upstream, server } = stage;
        upstream.lists({ referrers: how });
        const { top } = upstream.image(ALPINE, '3');
        const reply = await server.get(path(top.digest));
        if (how === 'redirect' && reply.status === 404) return;
        expect([reply.status, reply.headers['content-type']]).toEqual([200, MEDIA_TYPE.ociIndex]);
        expect((await reply.json<Index>()).manifests).toEqual([]);
        expect(upstream.seen('referrers')).toHaveLength(1);
      },
    );
  }

  scenario('[P98] of what is no digest', async ({ upstream, server }) => {
    expect(await refusalOf(await server.get(path('bad')))).toBe('400 DIGEST_INVALID');
    expect(upstream.requests).toEqual([]);
  });
});

describe('the rest', () => {
  scenario('[P100] [P101] version 1', async ({ server }) => {
    expect([200, 404]).toContain((await server.get('/v1/_ping')).status);
    expect([200, 404]).toContain((await server.get('/v1/search?q=a&n=25')).status);
  });

  scenario('[P102] the catalog of what is held', async ({ upstream, server }) => {
    for (const name of ['library/a', 'library/b']) {
      upstream.image(name, '1');
      await (await server.get(`/v2/docker.io/${name}/manifests/1`)).bytes();
    }
    const reply = await server.get('/v2/_catalog');
    const { repositories } = await reply.json<{ repositories: string[] }>();
    expect(repositories.map((name) => name.replace(/^docker\.io\//, ''))).toEqual(['library/a', 'library/b']);
    const paged = await server.get('/v2/_catalog?n=1');
    expect((await paged.json<{ repositories: string[] }>()).repositories).toHaveLength(1);
    expect(paged.headers.link).toContain('_catalog');
  });
});
