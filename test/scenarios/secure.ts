import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority, type Pair } from '../fakes/certificates.ts';
import type { Stage } from './harness.ts';
import type { Running } from './running.ts';
import { routesTo, type Settings } from './settings.ts';

/** Who has signed the servers' certificates. */
export const authority = createAuthority('Mirror');

export const certificatePath = ({ directory }: Stage): string => join(directory, 'cert.pem');
export const keyPath = ({ directory }: Stage): string => join(directory, 'key.pem');

export async function place(stage: Stage, { certificate, key }: Pair): Promise<void> {
  await writeFile(certificatePath(stage), certificate);
  await writeFile(keyPath(stage), key);
}

/** A mirror of the stage's upstream, over TLS, with HTTP/2. */
export async function secure(stage: Stage, tls: Settings = {}, more: Settings = {}): Promise<Settings> {
  await place(stage, authority.issue('localhost'));
  const http = {
    addr: '127.0.0.1:0',
    debug: { addr: '127.0.0.1:0' },
    tls: { certificate: certificatePath(stage), key: keyPath(stage), ...tls },
    http2: { disabled: false },
  };
  return { ...routesTo(stage.upstream), http, ...more };
}

export const portOf = ({ url }: Running): number => Number(new URL(url).port);
