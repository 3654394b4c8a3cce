import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { parse } from 'yaml';
import { readFile } from 'node:fs/promises';
import { buildImage } from '../fakes/images.ts';
import { scenario, type Stage } from './harness.ts';
import { pushImage } from './push.ts';
import type { Settings } from './settings.ts';

const at = (name: string): string => fileURLToPath(new URL(`../../deploy/trigger/${name}`, import.meta.url));

/** The receiver of `deploy/trigger`, in a process of its own; what it prints, line by line. */
async function startReceiver(stage: Stage, command: string) {
  const child = spawn(process.execPath, [at('receiver.mjs')], {
    env: {
      PATH: process.env['PATH'],
      HOST: '127.0.0.1',
      PORT: '0',
      HOOK_SECRET: 'hush',
      REGISTRY: 'localhost:5000',
      REPOSITORY: 'team/app',
      TAG: 'live',
      COMMAND: command,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  stage.defer(async () => {
    child.kill();
    await once(child, 'exit');
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => ((await lines.next()) as { value: string }).value;
  const port = Number((await line()).replace('listening on ', ''));
  return { line, url: `http://127.0.0.1:${port}/` };
}

/** The configuration of the example, its endpoint at this receiver. */
async function exampleSettings(url: string): Promise<Settings> {
  const example = parse(await readFile(at('entrepot.yml'), 'utf8')) as { notifications: { endpoints: [Settings] } };
  const [endpoint] = example.notifications.endpoints;
  return { notifications: { endpoints: [{ ...endpoint, url, secret: 'hush', backoff: '50ms' }] } };
}

scenario(
  'the example deploys when an image is pushed, once, by the digest that was pushed',
  async (stage) => {
    const { line, url } = await startReceiver(stage, 'echo "ran $IMAGE"');
    const server = await stage.start(await exampleSettings(url));
    const [one, two] = [buildImage({ label: '1' }), buildImage({ label: '2' })];
    await pushImage(server, '/v2/team/other', 'live', one);
    await pushImage(server, '/v2/team/app', 'not-live', one);
    for (const image of [one, two]) {
      expect((await pushImage(server, '/v2/team/app', 'live', image)).status).toBe(201);
      expect(await line()).toBe(`deploying localhost:5000/team/app@${image.top.digest}`);
      expect(await line()).toBe(`ran localhost:5000/team/app@${image.top.digest}`);
    }
    const event = { id: 'x', action: 'push', target: { repository: 'team/app', tag: 'live', digest: 'sha256:0' } };
    const body = JSON.stringify({ events: [event] });
    for (const signature of [undefined, 'sha256=', `sha256=${'0'.repeat(64)}`, `sha256=${'\u00e9'.repeat(64)}`]) {
      const headers = signature === undefined ? {} : { 'x-hub-signature-256': signature };
      expect((await fetch(url, { method: 'POST', body, headers })).status).toBe(401);
    }
  },
  { settings: null },
);

scenario(
  'the example tries a deployment that fails again, and not for ever',
  async (stage) => {
    const { line, url } = await startReceiver(stage, 'exit 1');
    const server = await stage.start(await exampleSettings(url));
    await pushImage(server, '/v2/team/app', 'live', buildImage({ label: '1' }));
    const tried = [await line(), await line(), await line()];
    expect(new Set(tried).size).toBe(1);
    await pushImage(server, '/v2/team/app', 'live', buildImage({ label: '2' }));
    expect(await line()).not.toBe(tried[0]);
  },
  { settings: null },
);
