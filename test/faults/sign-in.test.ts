import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hashBcrypt, verifyBcrypt } from '../../src/auth/bcrypt.ts';
import { createHashing } from '../../src/auth/hashing.ts';
import { systemClock } from '../../src/system/clock.ts';
import { buildImage } from '../fakes/images.ts';
import { sized, table } from '../scenarios/acceptance.ts';
import { scenario, type Stage } from '../scenarios/harness.ts';
import { basic, sending } from '../scenarios/people.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import { pushImage } from '../scenarios/push.ts';

const own = { settings: null, timeoutMs: 600_000 };
const app = buildImage({ label: 'app' });
/** As `entrepot htpasswd` makes them; in `npm test` the machine has others to serve. */
const COST = sized(6, 12);

/** ann pushes, anybody pulls; whoever asks from this machine may say for whom. */
async function start(stage: Stage, users: readonly string[], cost: number): Promise<RunningProcess> {
  const path = join(stage.directory, 'htpasswd');
  const hash = await hashBcrypt('secret', cost);
  await writeFile(path, users.map((user) => `${user}:${hash}\n`).join(''));
  const server = await stage.startProcess({
    http: { addr: '127.0.0.1:0', trustedproxies: ['127.0.0.1'], debug: { addr: '127.0.0.1:0' } },
    names: { default: 'registry.acme.test', self: ['registry.acme.test'] },
    routes: [{ match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] }],
    auth: { htpasswd: { realm: 'acme', path } },
    access: [{ match: '**', pull: ['anyone'], push: ['user:ann'] }],
    log: { accesslog: { disabled: true } },
  });
  expect((await pushImage(sending(server, basic('ann')), '/v2/team/app', 'latest', app)).status).toBe(201);
  return server;
}

const addressOf = (number: number): string => `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;

function percentile(samples: readonly number[], fraction: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

/** Does something so often a second for so long, whether or not the last has ended; yields all outcomes. */
async function paced<T>(perSecond: number, seconds: number, act: (at: number) => Promise<T>): Promise<T[]> {
  const outcomes: Promise<T>[] = [];
  const began = performance.now();
  for (let at = 0; at < perSecond * seconds; at += 1) {
    const early = (at / perSecond) * 1000 - (performance.now() - began);
    if (early > 1) await new Promise((resolve) => setTimeout(resolve, early));
    outcomes.push(act(at));
  }
  return Promise.all(outcomes);
}

/** The p99 of pulls, of what is held, one after the other, while `beside` goes on. */
async function pullsBeside(
  server: RunningProcess,
  beside: Promise<unknown>,
): Promise<{ p50: number; p99: number; pulls: number }> {
  let ended = false;
  void beside.finally(() => (ended = true)).catch(() => undefined);
  const took: number[] = [];
  const layer = app.layers[0]!;
  while (!ended) {
    const began = performance.now();
    const manifest = await server.get('/v2/team/app/manifests/latest');
    await manifest.bytes();
    const blob = await server.get(`/v2/team/app/blobs/${layer.digest}`);
    expect([manifest.status, blob.status]).toEqual([200, 200]);
    expect((await blob.bytes()).equals(layer.bytes)).toBe(true);
    took.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await beside;
  return { p50: percentile(took, 0.5), p99: percentile(took, 0.99), pulls: took.length };
}

describe('[issue 6, 4] ten thousand wrong sign-ins a minute beside pulls', () => {
  const PER_SECOND = 167;
  const SECONDS = sized(1, 60);

  scenario(
    'are refused, and pulls take at most twice as long as beside as many requests for what is not there',
    async (stage) => {
      const server = await start(stage, ['ann'], COST);
      const open = { headers: { authorization: await anonymous(server) } };
      const as = sending(server, open.headers.authorization);
      const client = { ...server, ...as };
      const rows: Record<string, string> = {};
      const measure = async (name: string, act: (at: number) => Promise<number>) => {
        const statuses: Record<string, number> = {};
        const count = async (at: number) => {
          const status = await act(at).catch((error: unknown) => (error as { code?: string }).code ?? 'failed');
          statuses[status] = (statuses[status] ?? 0) + 1;
        };
        const found = await pullsBeside(client, paced(PER_SECOND, SECONDS, count));
        rows[name] =
          `p50 ${found.p50.toFixed(1)} ms, p99 ${found.p99.toFixed(1)} ms of ${found.pulls} pulls; ${JSON.stringify(statuses)}`;
        return { ...found, statuses };
      };
      const absent = await measure('404s', async (at) => drained(await as.get(`/v2/team/app/manifests/none-${at}`)));
      const attacks: readonly [string, (at: number) => [string, string]][] = [
        ['wrong, for one user from one address', (at) => ['ann', `wrong-${at} 10.0.0.1`]],
        ['wrong, for many users from one address', (at) => [`user-${at}`, `wrong 10.0.0.2`]],
        ['wrong, for one user from many addresses', (at) => ['ben', `wrong-${at} ${addressOf(at)}`]],
        ['wrong, for many users from many addresses', (at) => [`user-${at}`, `wrong ${addressOf(at + 100_000)}`]],
      ];
      for (const [name, credentials] of attacks) {
        const { p99, statuses } = await measure(name, async (at) => {
          const [user, passwordAndAddress] = credentials(at);
          const [password = '', address = ''] = passwordAndAddress.split(' ');
          const headers = { authorization: basic(user, password), 'x-forwarded-for': address };
          return drained(await server.get('/v2/', { headers }));
        });
        expect(Object.keys(statuses).filter((status) => status !== '401' && status !== '429')).toEqual([]);
        expect(p99, name).toBeLessThanOrEqual(sized(Infinity, 2 * absent.p99));
      }
      table('pulls beside 167 requests a second', rows);
    },
    own,
  );
});

async function drained(reply: { readonly status: number; bytes(): Promise<unknown> }): Promise<number> {
  await reply.bytes();
  return reply.status;
}

async function anonymous(server: RunningProcess): Promise<string> {
  const { token } = await (await server.get('/token?scope=repository:team/app:pull')).json<{ token: string }>();
  return `Bearer ${token}`;
}

scenario(
  '[S32] 300 wrong passwords for users that there are and 300 for others: the same answers, in the same time',
  async (stage) => {
    const samples = sized(3, 300);
    const users = Array.from({ length: samples }, (_, at) => `user-${at}`);
    const server = await start(stage, ['ann', ...users], sized(4, 10));
    const ask = async (user: string, address: string) => {
      const reply = await server.get('/v2/', { headers: { authorization: basic(user, 'wrong'), 'x-forwarded-for': address } });
      const { date: _date, 'x-request-id': id, ...headers } = reply.headers;
      const body = (await reply.text()).replaceAll(String(id), 'ID');
      return { status: reply.status, headers, body, headMs: reply.headMs };
    };
    const took = { known: [] as number[], unknown: [] as number[] };
    for (const [at, user] of users.entries()) {
      const [known, unknown] = [await ask(user, addressOf(2 * at)), await ask(`nobody-${at}`, addressOf(2 * at + 1))];
      expect(known.status).toBe(401);
      expect({ ...unknown, headMs: 0 }).toEqual({ ...known, headMs: 0 });
      took.known.push(known.headMs);
      took.unknown.push(unknown.headMs);
    }
    const [known, unknown] = [percentile(took.known, 0.5), percentile(took.unknown, 0.5)];
    table('medians of wrong passwords', { known: `${known.toFixed(2)} ms`, unknown: `${unknown.toFixed(2)} ms` });
    expect(Math.abs(known - unknown) / known).toBeLessThan(sized(Infinity, 0.05));
  },
  own,
);

describe('[S31] hashes and the threads of the disk', () => {
  test('with 16 hashes asked for at once, the disk answers as with none', async () => {
    const stored = await hashBcrypt('secret', COST);
    const hashing = createHashing({ clock: systemClock });
    const one = await worstStat(
      Promise.all(Array.from({ length: 16 }, () => hashing.run((verify) => verify('wrong', stored)))),
    );
    const all = await worstStat(Promise.all(Array.from({ length: 16 }, () => verifyBcrypt('wrong', stored))));
    table('the longest of all stats beside 16 hashes', {
      'one at a time': `${one.toFixed(1)} ms`,
      'all at once': `${all.toFixed(1)} ms`,
    });
    expect(one).toBeLessThan(sized(Infinity, 50));
  });
});

/** While `beside` goes on. */
async function worstStat(beside: Promise<unknown>): Promise<number> {
  let [ended, worst] = [false, 0];
  void beside.finally(() => (ended = true));
  while (!ended) {
    const began = performance.now();
    await stat('/');
    worst = Math.max(worst, performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return worst;
}
