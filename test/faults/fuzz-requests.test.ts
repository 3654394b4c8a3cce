import { connect } from 'node:net';
import { describe, expect } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { parseRepository } from '../../src/oci/repository.ts';
import type { Image } from '../fakes/images.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { mib, seed, sized, table } from '../scenarios/acceptance.ts';
import { scenario, times } from '../scenarios/harness.ts';
import { ALPINE, blobPath, manifestPath } from '../scenarios/paths.ts';
import { held, MEASURED, settledTo } from '../scenarios/resources.ts';
import { routesTo } from '../scenarios/settings.ts';
import { drawFrom, mutate, requestFor, toText, type RawRequest } from './mutated-requests.ts';
import { readAnswers, type WireAnswer } from './read-answers.ts';

const MIB = 1024 * 1024;
const COUNT = sized(1000, 20_000);
const AT_ONCE = 32;
/** An unfinished request gets no answer before its time is up: nobody waits for that here. */
const QUIET_MS = 400;
/** An answer that has begun comes to its end, however slow the machine. */
const WHOLE_MS = 10_000;

/** What clients ask, of all kinds. */
function corpus(image: Image): RawRequest[] {
  const [layer] = image.layers;
  const paths = [
    '/v2/',
    '/v2',
    manifestPath('3'),
    manifestPath(image.top.digest),
    '/v2/library/alpine/manifests/3?ns=docker.io',
    '/v2/alpine/manifests/3',
    '/docker.io/v2/library/alpine/manifests/3',
    blobPath(layer!),
    blobPath(image.config),
    `/v2/library/alpine/blobs/${layer!.digest}?ns=docker.io`,
    '/v2/docker.io/library/alpine/tags/list',
    '/v2/docker.io/library/alpine/tags/list?n=2',
    `/v2/docker.io/library/alpine/referrers/${image.top.digest}`,
    '/v2/_catalog',
    '/v2/docker.io/library/alpine/blobs/uploads/',
    '/v1/_ping',
    '/v1/search?q=alpine',
    '/client/docker',
    '/livez',
    '/readyz',
  ];
  return [
    ...paths.flatMap((path) => [requestFor('GET', path), requestFor('HEAD', path)]),
    requestFor('GET', blobPath(layer!), { Range: 'bytes=100-199' }),
    requestFor('GET', blobPath(layer!), { Range: 'bytes=0-1,5-9' }),
    requestFor('GET', manifestPath('3'), { 'If-None-Match': `"${image.top.digest}"` }),
    requestFor('POST', '/v2/docker.io/library/alpine/blobs/uploads/', { 'Content-Length': '0' }),
  ];
}

interface Wire {
  /** Latin1. */
  readonly text: string;
  readonly closed: boolean;
}

/** Sends it on a connection of its own, and waits for one whole answer, the end of the connection, or silence. */
function exchange(url: string, request: RawRequest): Promise<Wire> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(Number(port), hostname);
    socket.setEncoding('latin1');
    const done = (closed: boolean): void => {
      clearTimeout(quiet);
      socket.destroy();
      resolve({ text, closed });
    };
    let quiet = setTimeout(() => done(false), QUIET_MS);
    socket.on('data', (piece: string) => {
      text += piece;
      clearTimeout(quiet);
      quiet = setTimeout(() => done(false), WHOLE_MS);
      if (readAnswers(text, [request.method], false).answers.length > 0) done(false);
    });
    socket.on('error', () => done(true));
    socket.on('close', () => done(true));
    socket.write(toText(request), 'latin1');
  });
}

interface Tally {
  readonly statuses: Map<string, number>;
  readonly wrong: string[];
}

function judge(request: RawRequest, { text, closed }: Wire, tally: Tally): void {
  const { answers, faults } = readAnswers(text, [request.method], closed);
  const say = (what: string): void => {
    tally.wrong.push(`${what}: ${JSON.stringify(toText(request).slice(0, 300))} -> ${JSON.stringify(text.slice(0, 300))}`);
  };
  for (const fault of faults) say(fault);
  const [answer] = answers;
  const status = answer === undefined ? (closed ? 'closed' : 'silence') : String(answer.status);
  tally.statuses.set(status, (tally.statuses.get(status) ?? 0) + 1);
  if (answer === undefined) {
    // A server that goes on in mid-answer, or hangs up in one, has done what no mutated request may make it do.
    if (text !== '') say('half an answer');
    return;
  }
  if (answer.status >= 500) say('the upstream is well');
  if (answer.status >= 400 && request.method !== 'HEAD' && !isError(answer)) say('no error of the specification');
  if (answer.status === 200 && request.method === 'GET' && !isItself(answer)) say('not what its digest says');
}

function isError({ headers, body }: WireAnswer): boolean {
  if (!headers['content-type']?.startsWith('application/json')) return false;
  try {
    const { errors } = JSON.parse(body) as { errors: { code: string; message: string }[] };
    return errors.length > 0 && errors.every(({ code, message }) => /^[A-Z_]+$/.test(code) && typeof message === 'string');
  } catch {
    return false;
  }
}

function isItself({ headers, body }: WireAnswer): boolean {
  const digest = headers['docker-content-digest'];
  return digest === undefined || digestOf(Buffer.from(body, 'latin1')) === digest;
}

/** What was asked of the upstream under a name that the specification's grammar forbids. */
function outsideGrammar(upstream: ScriptedUpstream): string[] {
  return upstream.requests
    .filter(({ kind, url, repository, reference }) => {
      if (kind === 'ping') return false;
      if (url.split('?')[0]!.includes('%')) return true;
      if (kind === 'tags') return parseRepository(repository) === undefined;
      return (
        !['manifest', 'blob', 'referrers'].includes(kind) ||
        parseRepository(repository) === undefined ||
        parseReference(reference) === undefined
      );
    })
    .map(({ method, url }) => `${method} ${url}`);
}

describe('[S20] mutated requests', () => {
  scenario(
    `${COUNT} of them: every answer is well-formed, none is our fault, nothing is left behind`,
    async (stage) => {
      const { upstream } = stage;
      const image = upstream.image(ALPINE, '3', { layers: [70_000] });
      upstream.referrer(ALPINE, image.top, 'application/vnd.test');
      const server = await stage.startProcess({ ...routesTo(upstream), log: { accesslog: { disabled: true } } }, MEASURED);
      const valid = corpus(image);
      const draw = drawFrom(createSeededRandom(seed));
      const run = async (count: number, tally: Tally): Promise<void> => {
        let left = count;
        await Promise.all(
          times(AT_ONCE, async () => {
            while (left-- > 0) {
              const request = mutate(draw.of(valid), draw);
              judge(request, await exchange(server.url, request), tally);
            }
          }),
        );
      };

      const plain: Tally = { statuses: new Map(), wrong: [] };
      for (const request of valid) judge(request, await exchange(server.url, request), plain);
      expect(plain.wrong).toEqual([]);
      await run(Math.ceil(COUNT / 4), plain);
      const before = await held(server, upstream);
      const tally: Tally = { statuses: new Map(), wrong: [] };
      const started = performance.now();
      await run(COUNT, tally);
      const seconds = (performance.now() - started) / 1000;
      const after = await settledTo(server, upstream, before);

      table(`${COUNT} mutated requests, seed ${seed}, ${seconds.toFixed(0)} s`, {
        ...Object.fromEntries(
          [...tally.statuses]
            .toSorted(([one], [other]) => one.localeCompare(other))
            .map(([status, count]) => [`answered ${status}`, count]),
        ),
        'wrong answers': tally.wrong.length,
        'upstream requests': upstream.requests.length,
        'of these outside the grammar': outsideGrammar(upstream).length,
        memory: `${mib(before.memory)} -> ${mib(after.memory)}`,
        descriptors: `${before.descriptors} -> ${after.descriptors}`,
        'upstream connections': `${before.upstream} -> ${after.upstream}`,
      });
      expect([...plain.wrong, ...tally.wrong].slice(0, 10)).toEqual([]);
      expect(outsideGrammar(upstream).slice(0, 10)).toEqual([]);
      expect(server.records.filter(({ msg }) => msg === 'fault')).toEqual([]);
      expect(server.stderr()).toBe('');
      expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 8);
      expect(after.memory - before.memory).toBeLessThan(sized(30, 10) * MIB);
      // It is the same process, and it still does its work.
      expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
    },
    { settings: null, timeoutMs: sized(60_000, 600_000) },
  );
});
