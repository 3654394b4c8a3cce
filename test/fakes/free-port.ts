import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below what systems give to whoever asks for any port (Linux from 32,768 on, others from 49,152): while a program is starting,
 * or is down for a while, nobody else is given its port, and no client that dials it can meet itself.
 */
const FIRST = 10_000;
/** For each worker of the test runner, so that files that run side by side never want the same one. */
const EACH = 2_000;
const WORKERS = 10;

const worker = Number(process.env['VITEST_POOL_ID'] ?? 1) % WORKERS;
// Where the last file of this worker began is likely to be still in use by what it started.
let next = process.pid % EACH;

/** A port of 127.0.0.1 for a program that cannot take port 0 and say what it got. */
export async function freePort(): Promise<number> {
  for (let left = EACH; left > 0; left -= 1) {
    const port = FIRST + worker * EACH + next;
    next = (next + 1) % EACH;
    if (await isFree(port)) return port;
  }
  throw new Error('no port is free');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
