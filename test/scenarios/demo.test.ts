import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { scenario, type Stage } from './harness.ts';
import { MAIN } from './process.ts';

const DEMO = fileURLToPath(new URL('../../deploy/demo.mjs', import.meta.url));

/** `npm run demo`, with a place of its own for its files; `at` sees each line it prints. */
async function runDemo(stage: Stage, program: string, at: (line: string, kill: (signal: NodeJS.Signals) => void) => void) {
  const place = await mkdtemp(join(stage.directory, 'tmp-'));
  const env = {
    PATH: process.env['PATH'],
    TMPDIR: place,
    REGISTRY_HTTP_ADDR: 'not an address',
    HTTP_PROXY: 'http://127.0.0.1:9',
  };
  const child = spawn(process.execPath, [DEMO, program], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  stage.defer(() => child.kill('SIGKILL'));
  const exited = once(child, 'close');
  let text = '';
  let during = 0;
  for await (const line of createInterface(child.stdout)) {
    text += `${line}\n`;
    during = Math.max(during, (await readdir(place)).length);
    at(line, (signal) => child.kill(signal));
  }
  const [code] = (await exited) as [number | null];
  const ports = [...text.matchAll(/http:\/\/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
  return { code, text, during, ports, left: await readdir(place) };
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

async function nothingIsLeft({ ports, left, during }: Awaited<ReturnType<typeof runDemo>>): Promise<void> {
  expect(during).toBe(1);
  expect(left).toEqual([]);
  expect(await Promise.all(ports.map(isOpen))).toEqual(ports.map(() => false));
}

/** A program that says that it listens, and does this with whatever it is asked. */
const answering = (what: string): string => `{
  const { createServer } = await import('node:http');
  const server = createServer((request, response) => ${what});
  server.listen(0, '127.0.0.1', () => {
    const main = '127.0.0.1:' + server.address().port;
    console.log(JSON.stringify({ msg: 'listening', addresses: { main, debug: main } }));
  });
}`;
const SILENT = answering('undefined');

const own = { settings: null, timeoutMs: 60_000 };

describe('the demo', () => {
  scenario(
    'shows a push, a miss, a hit and the metrics, and leaves nothing behind',
    async (stage) => {
      const shown = await runDemo(stage, MAIN, () => undefined);
      expect(shown.code, shown.text).toBe(0);
      expect(shown.text.match(/^ +(POST|PUT) .* 201$/gm)).toHaveLength(4);
      expect(shown.text.match(/^ +GET .*fwd=miss/gm)).toHaveLength(4);
      expect(shown.text.match(/^ +GET .*entrepot; hit/gm)).toHaveLength(4);
      for (const type of ['blob', 'manifest']) {
        const count = type === 'blob' ? 3 : 1;
        expect(shown.text).toContain(`registry_proxy_hits_total{type="${type}"} ${count}\n`);
        expect(shown.text).toContain(`registry_proxy_misses_total{type="${type}"} ${count}\n`);
      }
      expect(new Set(shown.ports).size).toBe(3);
      await nothingIsLeft(shown);
    },
    own,
  );

  scenario(
    'is stopped by Ctrl-C in the midst of a pull or of a start, and leaves nothing behind',
    async (stage) => {
      for (const [at, mirror] of [
        ['4. ', SILENT],
        ['     PUT', 'setInterval(() => {}, 1000);'],
      ] as const) {
        const program = join(stage.directory, 'origin-only.mjs');
        await writeFile(
          program,
          `if (process.cwd().endsWith('origin')) await import(${JSON.stringify(MAIN)});\nelse ${mirror}`,
        );
        const shown = await runDemo(stage, program, (line, kill) => {
          if (line.startsWith(at)) kill('SIGINT');
        });
        expect(shown.code, shown.text).toBe(130);
        expect(shown.text).toContain('stopped by SIGINT');
        await nothingIsLeft(shown);
      }
    },
    own,
  );

  scenario(
    'fails where what it shows is not so, and leaves nothing behind',
    async (stage) => {
      const program = join(stage.directory, 'broken.mjs');
      await writeFile(program, answering(`response.writeHead(500).end('broken')`));
      const shown = await runDemo(stage, program, () => undefined);
      expect(shown.code, shown.text).toBe(1);
      expect(shown.text).toMatch(/failed: POST .*: 500 broken/);
      await nothingIsLeft(shown);
    },
    own,
  );

  scenario(
    'fails where the program does not start, with what that said',
    async (stage) => {
      const program = join(stage.directory, 'ends.mjs');
      await writeFile(program, `console.error('no such thing'); process.exitCode = 1;`);
      const shown = await runDemo(stage, program, () => undefined);
      expect([shown.code, shown.left]).toEqual([1, []]);
      expect(shown.text).toContain('failed: the origin ended: no such thing');
    },
    own,
  );
});
