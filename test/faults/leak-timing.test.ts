import { expect } from 'vitest';
import { buildImage, type Image } from '../fakes/images.ts';
import { full, sized, table } from '../scenarios/acceptance.ts';
import { scenario, type Stage } from '../scenarios/harness.ts';
import { basic, sending, writeUsers } from '../scenarios/people.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import { pullWhole } from '../scenarios/pull-whole.ts';
import { pushImage, type PushedTo } from '../scenarios/push.ts';
import type { Settings } from '../scenarios/settings.ts';

/** Of each kind. */
const SAMPLES = sized(5, 300);
/** How far the medians may lie from each other, at the whole size. */
const APART = 0.05;

const ANN = basic('ann', 'annspassword');
const BEN = basic('ben', 'benspassword');

function median(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;
}

/** One of what is held and not theirs, one of what is not there, and again, each by the same client; ms. */
async function compared(
  client: PushedTo,
  title: string,
  held: (at: number) => string,
  gone: (at: number) => string,
): Promise<void> {
  const took: { held: number[]; gone: number[] } = { held: [], gone: [] };
  const statuses = new Set<number>();
  const time = async (path: string): Promise<number> => {
    const began = performance.now();
    const reply = await client.get(path);
    await reply.bytes();
    statuses.add(reply.status);
    return performance.now() - began;
  };
  // The first ones of both find nothing warm.
  for (let at = -sized(0, 50); at < SAMPLES; at += 1) {
    const first = at % 2 === 0 ? 'held' : 'gone';
    for (const kind of first === 'held' ? (['held', 'gone'] as const) : (['gone', 'held'] as const)) {
      const ms = await time(kind === 'held' ? held(at) : gone(at));
      if (at >= 0) took[kind].push(ms);
    }
  }
  expect([...statuses]).toEqual([404]);
  const [a, b] = [median(took.held), median(took.gone)];
  table(title, {
    'not yours, median': `${a.toFixed(3)} ms`,
    'not there, median': `${b.toFixed(3)} ms`,
    ratio: (a / b).toFixed(3),
  });
  if (full) expect(Math.abs(a / b - 1)).toBeLessThan(APART);
}

const own = { settings: null, timeoutMs: 600_000 };

async function startPassing(stage: Stage, policy: Settings): Promise<{ server: RunningProcess; image: Image }> {
  const hub = await stage.addUpstream({
    auth: {
      scheme: 'bearer',
      privateRepositories: ['acme/app', 'acme/no1'],
      users: {
        ann: { password: 'annspassword', repositories: ['acme/app'] },
        ben: { password: 'benspassword', repositories: [] },
      },
    },
  });
  const image = hub.image('acme/app', 'latest', { layers: [50_000, 50_001] });
  const server = await stage.startProcess({
    upstreams: { hub: { url: hub.url } },
    routes: [{ match: 'docker.io/**', name: 'hub', upstreams: ['hub'], passthrough: true, ...policy }],
    log: { accesslog: { disabled: true } },
  });
  expect(await pullWhole(sending(server, ANN), 'acme/app', 'latest', image)).toEqual([]);
  await server.settled();
  return { server, image };
}

const paths = (name: string, image: Image) => (at: number) => {
  const all = [
    `/v2/${name}/manifests/latest`,
    `/v2/${name}/manifests/${image.top.digest}`,
    `/v2/${name}/blobs/${image.layers[0]!.digest}`,
    `/v2/${name}/tags/list`,
  ];
  return all[Math.floor(Math.abs(at) / 2) % all.length]!;
};

scenario(
  '[issue 6, 2] by its time nothing tells what is held and not yours from what is not there: passthrough, its upstream asked each time',
  async (stage) => {
    const { server, image } = await startPassing(stage, { negativettl: '0s' });
    await compared(sending(server, BEN), 'asked each time', paths('acme/app', image), paths('acme/no1', image));
  },
  own,
);

scenario(
  '[issue 6, 2] nor where the refusal is remembered',
  async (stage) => {
    const { server, image } = await startPassing(stage, { negativettl: '1h' });
    await compared(sending(server, BEN), 'remembered', paths('acme/app', image), paths('acme/no1', image));
  },
  own,
);

scenario(
  '[issue 6, 2] nor where rules decide',
  async (stage) => {
    const image = buildImage({ layers: [50_000, 50_001] });
    const server = await stage.startProcess({
      names: { default: 'registry.acme.test', self: ['registry.acme.test'] },
      routes: [{ match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] }],
      auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann', 'ben') } },
      access: [{ match: 'registry.acme.test/**', pull: ['user:ann'], push: ['user:ann'] }],
      log: { accesslog: { disabled: true } },
    });
    expect((await pushImage(sending(server, basic('ann')), '/v2/acme/app', 'latest', image)).status).toBe(201);
    await compared(sending(server, basic('ben')), 'by rules', paths('acme/app', image), paths('acme/no1', image));
  },
  own,
);
