import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Digest } from '../../src/oci/digest.ts';

const fake = (name: string): string => fileURLToPath(new URL(`../fakes/${name}`, import.meta.url));

export interface BlobServer {
  readonly url: string;
  readonly digest: Digest;
  readonly size: number;
  seen(): Promise<readonly { readonly method: string; readonly range?: string; readonly firstByteAt?: number }[]>;
  close(): Promise<void>;
}

/** A registry of one blob, in a process of its own. */
export async function startBlobServer(sizeBytes: number, bytesPerSecond: number): Promise<BlobServer> {
  const child = spawn(process.execPath, [fake('blob-server.mjs'), String(sizeBytes), String(bytesPerSecond)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const said = JSON.parse(line) as Pick<BlobServer, 'url' | 'digest' | 'size'>;
  return {
    ...said,
    seen: async () => (await (await fetch(`${said.url}/seen`)).json()) as Awaited<ReturnType<BlobServer['seen']>>,
    async close() {
      child.kill();
      await exited;
    },
  };
}

export interface ClientReply {
  readonly status: number;
  readonly error?: string;
  readonly digest: string;
  readonly bytes: number;
  readonly firstByteAt: number;
}

/** So many clients at once, in a process of their own. */
export async function runClients(url: string, count: number): Promise<readonly ClientReply[]> {
  const child = spawn(process.execPath, [fake('blob-clients.mjs'), url, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  await once(child, 'close');
  return JSON.parse(out) as ClientReply[];
}
