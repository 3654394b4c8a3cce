import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import { freePort } from './free-port.ts';

/** Why tests with a real Redis are skipped here, or `undefined` where they run. */
export const redisMissing: string | undefined =
  spawnSync('redis-server', ['--version']).status === 0
    ? undefined
    : 'redis-server is not installed (Debian package redis-server)';

/** A real Redis of our own on a free loopback port, its data in a directory of its own. */
export interface RedisServer {
  readonly address: string;
  signal(name: NodeJS.Signals): void;
  /** Waits until its port is closed. */
  stop(): Promise<void>;
  /** On the same port, with what was on disk (nothing, unless `SAVE` or `--appendonly yes`). */
  start(): Promise<void>;
  /** Everything in it goes. */
  flushAll(): Promise<void>;
  /** Runs one command with redis-cli; yields what it prints. */
  command(...words: string[]): string;
  /** Stops it and removes its directory. */
  clean(): Promise<void>;
}

export async function startRedis(...settings: string[]): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-redis-'));
  const port = await freePort();
  const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--daemonize', 'no'];
  let process: ChildProcess | undefined;

  const server: RedisServer = {
    address: `127.0.0.1:${port}`,
    signal: (name) => void process?.kill(name),
    async start() {
      process = spawn('redis-server', [...fixed, ...settings], { stdio: ['ignore', 'pipe', 'ignore'] });
      await untilReady(process);
    },
    async stop() {
      if (process === undefined || process.exitCode !== null || process.signalCode !== null) return;
      const ended = once(process, 'exit');
      process.kill('SIGKILL');
      await ended;
    },
    async flushAll() {
      // Without a process: what is asked of every store starts with an empty one.
      const socket = connect(port, '127.0.0.1');
      socket.end('FLUSHALL\r\n');
      expect(await text(socket)).toBe('+OK\r\n');
    },
    command(...words) {
      const { status, stdout, stderr } = spawnSync('redis-cli', ['-h', '127.0.0.1', '-p', String(port), ...words], {
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`redis-cli ${words.join(' ')}: ${stderr}`);
      return stdout.trim();
    },
    async clean() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

async function untilReady(process: ChildProcess): Promise<void> {
  let said = '';
  const exited = once(process, 'exit').then(() => Promise.reject(new Error(`redis-server ended: ${said}`)));
  const ready = new Promise<void>((resolve) => {
    process.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('Ready to accept connections')) resolve();
    });
  });
  exited.catch(() => undefined); // It ends at last, of course.
  await Promise.race([ready, exited]);
}
