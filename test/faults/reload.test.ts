import { request } from 'node:http';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { randomBlob, type Blob } from '../fakes/images.ts';
import { createGate } from '../fakes/scripted-behaviour.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { sized, table, until } from '../scenarios/acceptance.ts';
import { scenario, times, type Stage } from '../scenarios/harness.ts';
import { ALPINE, blobPath, manifestPath } from '../scenarios/paths.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import { baseSettings, type Settings } from '../scenarios/settings.ts';

const own = { settings: null, timeoutMs: sized(60_000, 300_000) };
const PARTIES = ['ann', 'ben'] as const;
type Party = (typeof PARTIES)[number];

const PASSWORDS: Readonly<Record<Party, string>> = { ann: 'secret-of-ann', ben: 'secret-of-ben' };

/** One of two configurations between which everything differs: the upstream, its secret, the route, headers both ways. */
function settingsOf(party: Party, upstream: ScriptedUpstream, secretFile: string): Settings {
  return {
    http: {
      addr: '127.0.0.1:0',
      debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } },
      headers: { 'X-Party': [party] },
    },
    log: { fields: { party } },
    upstreams: {
      [party]: { url: upstream.url, username: party, passwordfile: secretFile, headers: { 'X-Party': party } },
    },
    // Tags are asked again at once, so that every manifest by tag needs its upstream.
    routes: [{ match: 'docker.io/**', name: `route-${party}`, upstreams: [party], tagttl: '0s' }],
  };
}

interface Two {
  readonly server: RunningProcess;
  readonly file: string;
  readonly upstreams: Readonly<Record<Party, ScriptedUpstream>>;
  /** Writes that party's file; nobody is told. */
  write(party: Party): Promise<void>;
}

async function startTwo(stage: Stage): Promise<Two> {
  const upstreams = { ann: stage.upstream, ben: await stage.addUpstream() };
  const data = join(stage.directory, 'data');
  const file = join(data, 'config.yml');
  const secretFile = (party: Party): string => join(data, `${party}.secret`);
  const settings = (party: Party): Settings => settingsOf(party, upstreams[party], secretFile(party));
  const server = await stage.startProcess({ ...routeless() });
  for (const party of PARTIES) {
    await writeFile(secretFile(party), PASSWORDS[party]);
    upstreams[party].auth.set({ scheme: 'bearer', username: party, password: PASSWORDS[party] });
  }
  return {
    server,
    file,
    upstreams,
    write: (party) => writeFile(file, JSON.stringify(baseSettings(data, settings(party)))),
  };
}

function basicOf(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** What the server starts with, until the first reload. */
const routeless = (): Settings => ({
  upstreams: { none: { url: 'http://127.0.0.1:9' } },
  routes: [{ match: 'a.test/**', upstreams: ['none'] }],
});

/** `entrepot reload`, as the command asks for it. */
function reloadBySocket(directory: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        socketPath: join(directory, 'data', 'entrepot.sock'),
        path: '/reload',
        method: 'POST',
        headers: { 'content-type': 'application/json', connection: 'close' },
      },
      (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode ?? 0));
      },
    );
    asked.on('error', reject);
    asked.end('{}');
  });
}

/** The party whose configuration answered, by everything that shows it; throws where they disagree. */
function partyOf(headers: Readonly<Record<string, unknown>>): Party {
  const party = headers['x-party'] as Party;
  const detail = /detail=(ann|ben)/.exec(String(headers['cache-status']))?.[1];
  if (detail !== undefined && detail !== party) throw new Error(`answered for ${party} from the upstream of ${detail}`);
  return party;
}

describe('a reload under load', () => {
  scenario(
    'secrets, routes and upstreams change all the time, and no request fails or sees two configurations',
    async (stage) => {
      const { server, upstreams, write } = await startTwo(stage);
      const images = times(3, (at) => {
        const image = upstreams.ann.image(`library/image${at}`, '1', { layers: [300_000 + at], label: `${at}` });
        upstreams.ben.image(`library/image${at}`, '1', { layers: [300_000 + at], label: `${at}` });
        return image;
      });
      const cold: Blob[] = [];
      const counts = { reloads: 0, requests: 0, hits: 0, misses: 0, ann: 0, ben: 0 };
      await write('ann');
      expect(await reloadBySocket(stage.directory)).toBe(200);

      let over = false;
      const pullAll = async (client: number): Promise<void> => {
        for (let round = 0; !over; round++) {
          const at = (client + round) % images.length;
          const image = images[at]!;
          const blob = randomBlob(270_000, 10_000 + client * 1000 + round);
          cold.push(blob);
          for (const party of PARTIES) upstreams[party].blob(ALPINE, blob);
          const asked = [
            [manifestPath('1', `library/image${at}`), image.top.digest],
            [blobPath(image.layers[0]!, `library/image${at}`), image.layers[0]!.digest],
            [blobPath(blob), blob.digest],
          ] as const;
          for (const [path, digest] of asked) {
            const reply = await server.get(path);
            const { status, headers } = reply;
            expect([path, status, await reply.sha256()]).toEqual([path, 200, digest]);
            counts.requests += 1;
            counts[partyOf(headers)] += 1;
            if (/fwd=/.test(String(headers['cache-status']))) counts.misses += 1;
            else counts.hits += 1;
          }
        }
      };
      const change = async (): Promise<void> => {
        for (let left = sized(40, 600); left > 0; left--) {
          const party = PARTIES[left % 2]!;
          await write(party);
          if (left % 3 === 0) expect(await reloadBySocket(stage.directory)).toBe(200);
          else server.signal('SIGHUP');
          counts.reloads += 1;
          await new Promise((resolve) => setTimeout(resolve, 5 + (left % 7) * 5));
        }
        over = true;
      };
      await Promise.all([change(), ...times(4, pullAll)]);

      for (const party of PARTIES) {
        // An upstream's own headers go to the upstream alone, not to its token endpoint.
        const strangers = upstreams[party].requests.filter(
          ({ kind, headers }) => kind !== 'token' && headers['x-party'] !== party,
        );
        expect(strangers.map(({ url }) => url)).toEqual([]);
        // The secret of the one never went to the other, nor a token; and each was signed in to with its own.
        const wanted = basicOf(party, PASSWORDS[party]);
        const shown = new Set(upstreams[party].seen('token').map(({ headers }) => headers.authorization));
        expect([...shown].filter((value) => value !== undefined)).toEqual([wanted]);
        const refused = upstreams[party].seen('401').filter(({ headers }) => headers.authorization !== undefined);
        expect(refused.map(({ method, url }) => `${method} ${url}`)).toEqual([]);
      }
      const requests = server.records.filter(({ msg }) => msg === 'request');
      expect(requests.filter(({ status }) => Number(status) >= 400)).toEqual([]);
      expect(counts.ann).toBeGreaterThan(0);
      expect(counts.ben).toBeGreaterThan(0);
      const metrics = await server.metrics();
      table('reloads under load', {
        reloads: counts.reloads,
        'logged as reloaded': server.records.filter(({ msg }) => msg === 'reloaded').length,
        requests: counts.requests,
        'by configuration': `${counts.ann} and ${counts.ben}`,
        'answered from disk, and by an upstream': `${counts.hits} and ${counts.misses}`,
        failed: 0,
        entrepot_config_last_reload_successful: metrics.sum('entrepot_config_last_reload_successful'),
      });
      expect(metrics.sum('entrepot_config_last_reload_successful')).toBe(1);
    },
    own,
  );

  scenario(
    'connections of an upstream that is gone from the configuration go away, but its running fill completes',
    async (stage) => {
      const { server, upstreams, write } = await startTwo(stage);
      const gate = createGate();
      const blob = randomBlob(3_000_000);
      const other = randomBlob(300_000, 2);
      // After the reload it breaks, and has to be gone on with at an upstream that is not configured any more.
      upstreams.ann.blob(ALPINE, blob).holdAfter(1_000_000, gate).cutAfter(2_000_000, 'fin').once().to('GET');
      upstreams.ben.blob(ALPINE, other);
      await write('ann');
      await reloadBySocket(stage.directory);
      const reply = await server.get(blobPath(blob));
      await gate.reached;
      await reply.next();
      await write('ben');
      await reloadBySocket(stage.directory);
      expect(await (await server.get(blobPath(other))).sha256()).toBe(other.digest);
      expect(upstreams.ann.hits(`GET ${other.digest}`)).toBe(0);
      gate.open();
      expect((await reply.untilBroken()).broken).toBe(false);
      await server.settled();
      expect(upstreams.ann.seen(`GET ${blob.digest}`).map(({ status }) => status)).toEqual([401, 200, 206]);
      // It is held, and the new configuration serves it without asking anybody.
      const asked = upstreams.ben.hits(`${blob.digest}`);
      expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
      expect(upstreams.ben.hits(`${blob.digest}`)).toBe(asked);
      await until(
        () => Promise.resolve(upstreams.ann.connections()),
        (open) => open === 0,
      );
    },
    own,
  );

  scenario(
    'a secret that changes is read again by the next sign-in, and nothing is reloaded for it',
    async (stage) => {
      const { server, upstreams, write } = await startTwo(stage);
      const [one, two] = [randomBlob(300_000, 3), randomBlob(300_000, 4)];
      for (const blob of [one, two]) upstreams.ann.blob(ALPINE, blob);
      await write('ann');
      await reloadBySocket(stage.directory);
      expect(await (await server.get(blobPath(one))).sha256()).toBe(one.digest);
      upstreams.ann.auth.set({ scheme: 'bearer', username: 'ann', password: 'another' });
      upstreams.ann.auth.expireTokens();
      await writeFile(join(stage.directory, 'data', 'ann.secret'), 'another');
      // Nobody says so: whoever signs in reads the file again.
      upstreams.ann.forget();
      expect(await (await server.get(blobPath(two))).sha256()).toBe(two.digest);
      const shown = upstreams.ann.seen('token').map(({ headers }) => headers.authorization);
      expect(shown).toContain(basicOf('ann', 'another'));
      expect(shown).not.toContain(basicOf('ann', PASSWORDS.ann));
      expect(server.records.filter(({ msg }) => msg === 'reloaded')).toHaveLength(1);
    },
    own,
  );

  scenario(
    'a wrong file is refused with its place, said once, and the old one goes on',
    async (stage) => {
      const { server, upstreams, file, write } = await startTwo(stage);
      const image = upstreams.ann.image(ALPINE, '3');
      await write('ann');
      expect(await reloadBySocket(stage.directory)).toBe(200);
      await writeFile(file, 'version: 0.1\nhttp:\n  addr: 127.0.0.1:0\nupstreams:\n  hub: { ulr: https://a.test }\n');
      server.signal('SIGHUP');
      const failed = await server.logged('reload failed');
      expect(failed['error']).toMatch(/config\.yml:5:\d+: upstreams\.hub\.ulr: /);
      expect((await server.metrics()).sum('entrepot_config_last_reload_successful')).toBe(0);
      for (const _ of times(3, () => 0)) expect(await reloadBySocket(stage.directory)).not.toBe(200);
      const reply = await server.get(manifestPath('3'));
      expect([reply.status, reply.headers['x-party']]).toEqual([200, 'ann']);
      expect(await reply.sha256()).toBe(image.top.digest);
      // Asked again and looked at again it is still the same fault.
      await new Promise((resolve) => setTimeout(resolve, sized(0, 10_000)));
      expect(server.records.filter(({ msg }) => msg === 'reload failed')).toHaveLength(1);
      await write('ben');
      await until(
        () => server.metrics(),
        (metrics) => metrics.sum('entrepot_config_last_reload_successful') === 1,
      );
      upstreams.ben.image(ALPINE, '3');
      expect((await server.get(manifestPath('3'))).headers['x-party']).toBe('ben');
      table('a wrong file', {
        'said in the log': String(failed['error']).replace(stage.directory, '…'),
        'how often': 1,
        entrepot_config_last_reload_successful: '0, and 1 when it was right again',
      });
    },
    own,
  );
});
