import { expect, test } from 'vitest';
import { startEdge } from './edge.ts';

const { Request, Response } = globalThis;

test("the globals stay Node's own: node-server's light ones break answers that have left already", async () => {
  await startEdge();
  expect(globalThis.Request).toBe(Request);
  expect(globalThis.Response).toBe(Response);
});
