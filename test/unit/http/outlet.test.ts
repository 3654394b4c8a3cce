import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { Connection } from '../../../src/http/connection.ts';
import type { Exchange } from '../../../src/http/exchange.ts';
import { ClientGone, createStallWatch, type Outlet } from '../../../src/http/outlet.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

/** A response that never calls back, as one that never came to own its socket. */
function deaf(): { readonly outlet: Outlet; readonly socket: EventEmitter; readonly exchange: Exchange } {
  const socket = new EventEmitter();
  const outgoing = { write: () => true, end: () => undefined } as unknown as ServerResponse;
  const exchange = { outgoing, connection: new Connection(socket as Socket), bytes: 0 } as unknown as Exchange;
  return { outlet: createStallWatch(createFakeClock(), 60_000).open(exchange), socket, exchange };
}

describe('[R53] every wait ends with the socket', () => {
  test('a write whose callback never comes', async () => {
    const { outlet, socket, exchange } = deaf();
    const write = outlet.write(Buffer.from('a'));
    socket.emit('close');
    await expect(write).rejects.toBeInstanceOf(ClientGone);
    expect(exchange.bytes).toBe(0);
  });

  test('an end, and what is begun after the close', async () => {
    const { outlet, socket } = deaf();
    const end = outlet.end();
    socket.emit('close');
    await expect(end).rejects.toBeInstanceOf(ClientGone);
    await expect(outlet.write(Buffer.from('a'))).rejects.toBeInstanceOf(ClientGone);
    await expect(outlet.orGone(new Promise(() => undefined))).rejects.toBeInstanceOf(ClientGone);
  });

  test('work that ends first is itself', async () => {
    const { outlet, socket } = deaf();
    await expect(outlet.orGone(Promise.resolve(1))).resolves.toBe(1);
    await expect(outlet.orGone(Promise.reject(new Error('no')))).rejects.toThrow('no');
    socket.emit('close');
  });
});

test('[S24] a client that takes a little at each look is not cut; one that takes nothing for the stall time is', async () => {
  const clock = createFakeClock();
  const handle = { writeQueueSize: 1_000_000 };
  const socket = Object.assign(new EventEmitter(), { _handle: handle });
  let cuts = 0;
  const outgoing = { write: () => true, headersSent: false, destroy: () => void cuts++ } as unknown as ServerResponse;
  const exchange = { outgoing, connection: new Connection(socket as unknown as Socket), bytes: 0 } as unknown as Exchange;
  const write = createStallWatch(clock, 60_000).open(exchange).write(Buffer.from('a'));
  for (let look = 0; look < 20; look++) {
    handle.writeQueueSize -= 1;
    await clock.advance(15_000);
  }
  expect(cuts).toBe(0);
  await clock.advance(45_000);
  expect(cuts).toBe(0);
  await clock.advance(15_000);
  expect(cuts).toBe(1);
  socket.emit('close');
  await expect(write).rejects.toBeInstanceOf(ClientGone);
  await clock.advance(15_000);
  expect(clock.pending()).toBe(0);
});
