import { describe, expect, test } from 'vitest';
import { createTurns, PIECES_A_TURN } from '../../../src/http/turns.ts';
import { BLOB_PATH, readUntil, request, startEdge } from './edge.ts';
import { pullOf, scriptedContent, wholeReply } from './scripted-content.ts';

describe('pieces of bodies', () => {
  test('begin at once while they are few, and otherwise in turn, in the order in which they came', async () => {
    const due: (() => void)[] = [];
    const turn = async (): Promise<void> => {
      for (const work of due.splice(0)) work();
      await Promise.resolve();
    };
    const turns = createTurns((work) => void due.push(work));
    const begun: number[] = [];
    const come = (from: number, to: number): void => {
      for (let at = from; at < to; at += 1) {
        const wait = turns.take();
        if (wait === undefined) begun.push(at);
        else void wait.then(() => begun.push(at));
      }
    };
    const all = (to: number): number[] => Array.from({ length: to }, (_, at) => at);

    come(0, 2 * PIECES_A_TURN + 1);
    expect(begun).toEqual(all(PIECES_A_TURN));
    await turn();
    expect(begun).toEqual(all(2 * PIECES_A_TURN));
    // There is none left in this turn for who comes now.
    come(2 * PIECES_A_TURN + 1, 2 * PIECES_A_TURN + 3);
    await turn();
    expect(begun).toEqual(all(2 * PIECES_A_TURN + 3));
    await turn();
    expect(due).toEqual([]);
    come(100, 100 + PIECES_A_TURN);
    expect(begun).toHaveLength(3 * PIECES_A_TURN + 3);
  });

  test('of a hundred clients at once leave the event loop free for others between a few of them', async () => {
    const clients = 100;
    let reads = 0;
    let thisTurn = 0;
    let mostInATurn = 0;
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const content = scriptedContent(Buffer.alloc(50_000, 'x'), {
      chunkMax: 1000,
      gate(nth) {
        // The last one only looks whether there is more than was promised.
        if (nth > 50) return undefined;
        reads += 1;
        thisTurn += 1;
        mostInATurn = Math.max(mostInATurn, thisTurn);
        if (reads === clients) open();
        // All of them are there before any of them goes on.
        return nth === 1 ? opened : undefined;
      },
    });
    const edge = await startEdge({ pull: pullOf(wholeReply(content)) });
    let counting = true;
    const count = (): void => {
      thisTurn = 0;
      if (counting) setImmediate(count);
    };
    count();
    await Promise.all(
      Array.from({ length: clients }, async () => {
        const socket = await edge.connect();
        socket.write(request('GET', BLOB_PATH));
        await readUntil(socket, (text) => text.length - text.indexOf('\r\n\r\n') - 4 === 50_000);
      }),
    );
    counting = false;
    expect(reads).toBe(clients * 50);
    // Two turns of ours may have their pieces between two looks.
    expect(mostInATurn).toBeLessThanOrEqual(2 * PIECES_A_TURN);
  });
});
