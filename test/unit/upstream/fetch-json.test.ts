import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/system/clock.ts';
import { createFetchJson, type FetchJson } from '../../../src/upstream/fetch-json.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

describe('a JSON document of another server', () => {
  let server: Server;
  let other: Server;
  let base: string;
  let elsewhere: string;
  let answers: Record<string, Answer>;
  let asked: string[];
  let askedElsewhere: number;
  let json: FetchJson;
  const { signal } = new AbortController();

  const listen = async (listening: Server): Promise<string> => {
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
  };
  const redirect =
    (location: string): Answer =>
    (_request, response) => {
      response.writeHead(302, { location });
      response.end();
    };
  const say =
    (status: number, body: string | Buffer): Answer =>
    (_request, response) => {
      response.writeHead(status);
      response.end(body);
    };

  beforeEach(async () => {
    [answers, asked, askedElsewhere] = [{}, [], 0];
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      (answers[request.url ?? ''] ?? say(404, 'no'))(request, response);
    });
    other = createServer((_request, response) => {
      askedElsewhere += 1;
      response.end('{}');
    });
    [base, elsewhere] = [await listen(server), await listen(other)];
    json = createFetchJson({ clock: systemClock, userAgent: 'entrepot/test', env: {} });
  });
  afterEach(async () => {
    await json.close();
    for (const listening of [server, other]) {
      listening.closeAllConnections();
      await new Promise((resolve) => listening.close(resolve));
    }
  });

  test('is read, and asked for as what we are', async () => {
    let headers: IncomingMessage['headers'] = {};
    answers['/a?b=c'] = (request, response) => {
      headers = request.headers;
      response.end('{"issuer":"x"}');
    };
    expect(await json.fetch(`${base}/a?b=c`, signal)).toEqual({ issuer: 'x' });
    expect(headers).toMatchObject({ accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'entrepot/test' });
    expect(headers).not.toHaveProperty('authorization');
  });

  test('may stand at another place of the same server', async () => {
    answers['/a'] = redirect('/b');
    answers['/b'] = redirect(`${base}/c`);
    answers['/c'] = say(200, '{"at":"c"}');
    expect(await json.fetch(`${base}/a`, signal)).toEqual({ at: 'c' });
  });

  test.each<[string, () => string]>([
    ['another host', () => `${elsewhere}/x`],
    ['another host, without scheme', () => elsewhere.replace('http:', '') + '/x'],
    ['a file', () => 'file:///etc/passwd'],
    ['the same host in another way', () => base.replace('http:', 'https:')],
  ])('is not looked for at %s', async (_what, location) => {
    answers['/a'] = redirect(location());
    await expect(json.fetch(`${base}/a`, signal)).rejects.toThrow('redirects to another host');
    expect(askedElsewhere).toBe(0);
  });

  test('is not looked for without end', async () => {
    answers['/a'] = redirect('/a');
    await expect(json.fetch(`${base}/a`, signal)).rejects.toThrow('redirects too often');
    expect(asked).toHaveLength(4);
  });

  test.each([
    ['http://issuer.test/x', 'issuer.test is not asked: its address is not https'],
    ['http://127.0.0.1.evil.test/x', 'not https'],
    ['http://10.0.0.1/x', 'not https'],
    ['ftp://127.0.0.1/x', 'not https'],
    ['file:///etc/passwd', 'not https'],
    ['nonsense', 'the server is not asked'],
  ])('is not asked for at %s', async (url, why) => {
    await expect(json.fetch(url, signal)).rejects.toThrow(why);
  });

  test.each<[string, Answer, string]>([
    ['404', say(404, '{}'), 'answered 404'],
    ['304', say(304, ''), 'answered 304'],
    ['no JSON', say(200, '<html>'), 'sent an unreadable document: it is not JSON'],
    ['a list', say(200, '[]'), 'it is not a JSON object'],
    ['ten thousand levels', say(200, `{"a":${'['.repeat(10_000)}`), 'nests deeper'],
    ['more than a megabyte', say(200, Buffer.alloc(1024 * 1024 + 1, 0x20)), 'sent more than 1048576 bytes'],
  ])('is none that says %s', async (_what, answer, why) => {
    answers['/a'] = answer;
    const reading = json.fetch(`${base}/a`, signal);
    await expect(reading).rejects.toThrow(why);
    await expect(reading).rejects.toThrow(new URL(base).host);
  });

  test('is given up after ten seconds, with all that came of it', async () => {
    const clock = createFakeClock();
    const slow = createFetchJson({ clock, userAgent: 'entrepot/test', env: {} });
    const begun = new Promise<void>((resolve) => {
      answers['/a'] = (_request, response) => {
        response.write('{');
        resolve();
      };
    });
    const failure = slow.fetch(`${base}/a`, signal).catch((error: unknown) => error);
    await begun;
    await clock.advance(10_000);
    expect(String(await failure)).toContain('did not answer within 10000 ms');
    await slow.close();
    expect(clock.pending()).toBe(0);
  });

  test('is given up when nobody wants it any more', async () => {
    const caller = new AbortController();
    answers['/a'] = () => caller.abort(new Error('never mind'));
    await expect(json.fetch(`${base}/a`, caller.signal)).rejects.toThrow('never mind');
  });
});
