import { describe, expect, test } from 'vitest';
import { CLIENTS_MAX, createRecent, RECENT_MS } from '../../../src/admin/recent.ts';
import { requestLine } from '../../../src/admin/request-line.ts';
import { WAITING_LINES_MAX } from '../../../src/admin/tail.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { requestEvent } from '../observe/recorder.ts';

describe('clients', () => {
  test('are counted by address and kind, the latest first', async () => {
    const clock = createFakeClock();
    const recent = createRecent(clock);
    recent.onRequest(requestEvent({ client: 'a', clientKind: 'docker' }));
    recent.onRequest(requestEvent({ client: 'a', clientKind: 'containerd' }));
    await clock.advance(10);
    recent.onRequest(requestEvent({ client: 'a', clientKind: 'docker' }));
    expect(recent.clients().map(({ address, kind, requests, bytes }) => [address, kind, requests, bytes])).toEqual([
      ['a', 'docker', 2, 2000],
      ['a', 'containerd', 1, 1000],
    ]);
    expect(recent.clientCounts()).toEqual(
      new Map([
        ['docker', 1],
        ['containerd', 1],
      ]),
    );
  });

  test('are forgotten after an hour', async () => {
    const clock = createFakeClock();
    const recent = createRecent(clock);
    recent.onRequest(requestEvent());
    await clock.advance(RECENT_MS + 1);
    expect(recent.clients()).toEqual([]);
  });

  test('are bounded: the one that was silent longest goes', () => {
    const recent = createRecent(createFakeClock());
    for (let at = 0; at <= CLIENTS_MAX; at += 1) recent.onRequest(requestEvent({ client: `c${at}` }));
    expect(recent.clients()).toHaveLength(CLIENTS_MAX);
    expect(recent.clients().some(({ address }) => address === 'c0')).toBe(false);
  });
});

test('requests are told by type and outcome', () => {
  const recent = createRecent(createFakeClock());
  recent.onRequest(requestEvent({}, { type: 'blob', outcome: 'miss' }));
  recent.onRequest(requestEvent({}, { type: 'blob', outcome: 'miss' }));
  recent.onRequest(requestEvent({}, { type: undefined, outcome: undefined }));
  expect(recent.tally()).toEqual({ blob: { miss: 2 }, manifest: {} });
});

describe('tail', () => {
  async function take(lines: AsyncIterable<string>, count: number): Promise<string[]> {
    const taken: string[] = [];
    for await (const line of lines) {
      taken.push(line);
      if (taken.length === count) break;
    }
    return taken;
  }

  test('shows requests from now on, and ends with the signal', async () => {
    const recent = createRecent(createFakeClock(Date.UTC(2026, 0, 1, 10, 0, 0)));
    recent.onRequest(requestEvent({ client: 'before' }));
    const stop = new AbortController();
    const lines = recent.tail(stop.signal);
    recent.onRequest(requestEvent());
    expect(await take(lines, 1)).toEqual([
      '10:00:00 200 hit         GET docker.io/library/alpine:latest 1000 B 2 ms docker 10.0.0.7 from hub-a',
    ]);
    const other = recent.tail(stop.signal);
    const ended = take(other, 1);
    stop.abort();
    expect(await ended).toEqual([]);
  });

  test('a watcher that does not read costs bounded memory and is told what it lost', async () => {
    const recent = createRecent(createFakeClock());
    const lines = recent.tail(new AbortController().signal);
    for (let at = 0; at < WAITING_LINES_MAX + 5; at += 1) recent.onRequest(requestEvent());
    const taken = await take(lines, WAITING_LINES_MAX + 1);
    expect(taken.at(-1)).toBe('… 5 lines lost');
  });

  test('nothing that came from outside reaches a terminal as it is', () => {
    const line = requestLine(
      requestEvent(
        { method: 'G\u001bT', client: '\u009b1' },
        { repository: 'a\nb', tried: [{ upstream: 'x', error: '\u001b[2J', ms: 1 }] },
      ),
      0,
    );
    expect(line).toMatch(/^[\x20-\x7e]+$/);
  });

  test('a request without a name shows its path, without the query', () => {
    expect(
      requestLine(requestEvent({ path: '/v2/?token=cAnArY' }, { registry: undefined, repository: undefined }), 0),
    ).toContain(' GET /v2/ ');
  });
});
