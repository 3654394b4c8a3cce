import { describe, expect, test } from 'vitest';

import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createPace } from '../../../src/upstream/pace.ts';
import { UpstreamError, type UpstreamBody } from '../../../src/upstream/upstream.ts';
import { withBandwidth } from '../../../src/upstream/with-bandwidth.ts';
import { answer, layer, never, notFound, readAll, sendBlob, serve, upstreamOf, wantBlob, wantManifest } from './servers.ts';

/** A body of endless chunks. */
function endless(bytes: number): UpstreamBody & { readonly state: { closed: boolean } } {
  const state = { closed: false };
  return {
    state,
    async read() {
      if (state.closed) throw new UpstreamError('hub', 'cut', 'closed');
      return new Uint8Array(bytes);
    },
    close: () => void (state.closed = true),
  };
}

describe('bandwidth', () => {
  function shared(count: number, signal: AbortSignal = never) {
    const clock = createFakeClock();
    const pace = createPace(clock, { perSecond: 1_000_000, slack: 0 });
    const read = Array.from({ length: count }, () => 0);
    const bodies = read.map(() => endless(50_000));
    const paced = bodies.map((body) => withBandwidth(body, pace, clock, signal));
    const reading = paced.map(async (body, at) => {
      for (let chunk = await body.read(); chunk !== undefined; chunk = await body.read()) read[at]! += chunk.byteLength;
    });
    const ended = Promise.allSettled(reading);
    return { clock, read, paced, bodies, ended };
  }

  test('is kept over all bodies together, and shared alike', async () => {
    const { clock, read } = shared(4);
    await clock.advance(10_000);
    const sum = read.reduce((total, each) => total + each, 0);
    expect(sum).toBeGreaterThanOrEqual(10_000_000);
    expect(sum).toBeLessThanOrEqual(10_000_000 + 4 * 50_000);
    for (const each of read) expect(Math.abs(each - sum / 4)).toBeLessThanOrEqual(50_000);
  });

  test('lets the first bytes through at once, and what was not used is not made up for', async () => {
    const { clock, read, paced, ended } = shared(1);
    await clock.advance(0);
    expect(read).toEqual([50_000]);
    paced[0]!.close();
    await ended;
    await clock.advance(60_000);
    const again = shared(1);
    await again.clock.advance(1000);
    expect(again.read[0]).toBeLessThanOrEqual(1_050_000);
  });

  test('a body that is closed, or whose signal is aborted, waits no longer', async () => {
    const leaving = new AbortController();
    const { clock, paced, ended } = shared(2, leaving.signal);
    await clock.advance(1000);
    expect(clock.pending()).toBe(2);
    paced[0]!.close();
    leaving.abort(new Error('left'));
    paced[1]!.close();
    await ended;
    expect(clock.pending()).toBe(0);
  });

  test('the wait is neither a stall nor the upstream being slow', async () => {
    const clock = createFakeClock();
    const server = await serve((request, response) => sendBlob(request, response, Buffer.alloc(400_000)));
    const upstream = upstreamOf(server, { bandwidth: 1000, timeouts: { stallMs: 100 } }, { clock });
    const found = await upstream.ask(wantBlob(), never);
    const read = readAll(found);
    await expect(
      Promise.race([read, clock.advance(60_000).then(() => 'waits'), read.catch((error: Error) => error.message)]),
    ).resolves.toBe('waits');
    if (found.kind === 'found') found.body?.close();
    await expect(read).rejects.toThrow('closed');
  });
});

describe('rate', () => {
  test('who would wait too long hears what a 429 would say, and the upstream is not held to be down', async () => {
    const server = await serve((_request, response) => notFound(response));
    const upstream = upstreamOf(server, { rate: 1 / 60 });
    expect(await upstream.ask(wantManifest(), never)).toMatchObject({ kind: 'absent' });
    for (let turn = 0; turn < 10; turn++) {
      expect(await upstream.ask(wantManifest(), never)).toMatchObject({ kind: 'limited', retryAfterSeconds: 60 });
    }
    expect(server.seen.length).toBe(1);
    expect(upstream.status().up).toBe(true);
    expect(upstream.events).toContainEqual(expect.objectContaining({ kind: 'upstream-error', reason: 'ratelimit' }));
  });
});

describe('our own queue', () => {
  test('who runs out of time in it has learnt nothing of the upstream', async () => {
    const server = await serve((request, response) => sendBlob(request, response));
    const upstream = upstreamOf(server, { concurrency: 1 });
    const running = await upstream.ask(wantBlob(), never);
    for (let turn = 0; turn < 6; turn++) {
      const late = new AbortController();
      const asked = upstream.ask(wantBlob(), late.signal);
      late.abort(new UpstreamError('hub', 'headers', 'hub did not answer in time', { timeout: true }));
      await expect(asked).rejects.toThrow('no slot came free in time');
    }
    expect(upstream.status().up).toBe(true);
    expect(await readAll(running)).toBe(layer.toString());
  });
});

describe('the question whether it is there', () => {
  async function checked(status: number) {
    const clock = createFakeClock();
    let arrived = (): void => undefined;
    const asked = new Promise<void>((resolve) => (arrived = resolve));
    const server = await serve((_request, response) => {
      answer(response, status);
      arrived();
    });
    const options = { checkMs: 30_000, path: 'hub-proxy', ns: true, headers: { 'x-key': 'k' }, pseudonym: 'entrepot-1' };
    const url = new URL(`${server.origin}/oci`);
    const upstream = upstreamOf({ url }, { ...options, userAgent: 'entrepot/9' }, { clock });
    await clock.advance(40_000);
    await asked;
    return { clock, server, upstream };
  }

  test('is for /v2/ alone, without credentials', async () => {
    const { server } = await checked(401);
    expect(server.seen.map(({ line }) => line)).toEqual(['GET /oci/v2/']);
    expect(server.seen[0]?.headers).toMatchObject({ 'x-key': 'k', 'user-agent': 'entrepot/9' });
    expect(server.seen[0]?.headers).not.toHaveProperty('authorization');
  });

  test('is asked no more once it is not used any more', async () => {
    const { clock, server, upstream } = await checked(429);
    await upstream.close();
    await clock.advance(3600_000);
    expect(server.seen.length).toBe(1);
    expect(clock.pending()).toBe(0);
  });
});

describe('508', () => {
  test('is a fault that says why, and shows that it is there', async () => {
    const server = await serve((_request, response) => answer(response, 508));
    const upstream = upstreamOf(server, { pseudonym: 'entrepot-00000000000000aa' });
    for (let turn = 0; turn < 6; turn++) {
      await expect(upstream.ask(wantManifest({ via: ['entrepot-00000000000000bb'] }), never)).rejects.toMatchObject({
        reason: 'status',
        status: 508,
        message: expect.stringContaining('in turn') as unknown,
      });
    }
    expect(upstream.status().up).toBe(true);
    expect(server.seen[0]?.headers.via).toBe('1.1 entrepot-00000000000000bb, 1.1 entrepot-00000000000000aa');
  });
});
