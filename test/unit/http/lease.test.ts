import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createBuffers, LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES, type Buffers } from '../../../src/http/buffers.ts';
import { Connection, OWN_BYTES } from '../../../src/http/connection.ts';
import { lease } from '../../../src/http/lease.ts';

/** A body whose client takes so many bytes more, and stops in the piece that holds the next. */
function reader(buffers: Buffers): { takes(bytes: number): { sizes: number[]; stuck: number } } {
  const own = lease(new Connection(new EventEmitter() as Socket), buffers);
  let sent = 0;
  let left = 0;
  let lastWriteMs = 0;
  return {
    takes(bytes) {
      const sizes: number[] = [];
      left += bytes;
      for (;;) {
        expect(own.available(undefined)).toBe(true);
        const buffer = own.take();
        const count = buffer.byteLength;
        sizes.push(count);
        sent += count;
        own.adapt({ count, room: count, sent, lastWriteMs });
        left -= count;
        lastWriteMs = left < 0 ? 5000 : 0;
        const stuck = left < 0 ? buffers.lentBytes() : 0;
        own.giveBack(buffer);
        if (left < 0) return { sizes, stuck };
      }
    },
  };
}

describe('the buffers of a body', () => {
  test('grow with a client that does not stop', () => {
    const { sizes } = reader(createBuffers(4 * LARGE_BUFFER_BYTES)).takes(32 * 1024 * 1024);
    expect(sizes.slice(0, 2)).toEqual([OWN_BYTES, SMALL_BUFFER_BYTES]);
    expect(sizes.at(-1)).toBe(LARGE_BUFFER_BYTES);
    expect(sizes).toHaveLength(1 + 32 + 24);
  });

  test('are not stuck with a client that stops again where it stopped before, and are large until then', () => {
    const buffers = createBuffers(4 * LARGE_BUFFER_BYTES);
    const slow = reader(buffers);
    expect(slow.takes(800_000).stuck).toBe(SMALL_BUFFER_BYTES);
    expect(slow.takes(800_000).stuck).toBe(0);
    for (const bytes of [800_000, 900_000, 850_000, 810_000]) {
      const { sizes, stuck } = slow.takes(bytes);
      expect(stuck).toBe(0);
      expect(sizes.length).toBeLessThan(25);
      expect(Math.max(...sizes)).toBeGreaterThan(4 * OWN_BYTES);
    }
    expect(buffers.lentBytes()).toBe(0);
  });

  test('grow again once it goes on for longer than it did', () => {
    const slow = reader(createBuffers(4 * LARGE_BUFFER_BYTES));
    slow.takes(800_000);
    slow.takes(800_000);
    expect(slow.takes(32 * 1024 * 1024).sizes.at(-1)).toBe(LARGE_BUFFER_BYTES);
  });

  test('a hundred that stop leave most for one that does not', () => {
    const buffers = createBuffers(32 * SMALL_BUFFER_BYTES);
    const slow = Array.from({ length: 100 }, () => reader(buffers));
    for (let round = 0; round < 4; round += 1) for (const one of slow) one.takes(800_000);
    expect(
      reader(buffers)
        .takes(32 * 1024 * 1024)
        .sizes.at(-1),
    ).toBe(LARGE_BUFFER_BYTES);
  });
});
