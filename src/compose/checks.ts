import type { HealthConfig } from '../config/config.ts';
import type { HealthCheck } from '../http/health.ts';
import { fileLook, httpLook, tcpLook } from '../http/health-looks.ts';
import type { Disk } from '../system/disk.ts';

/** A look of the checks that have no time limit of their own. */
const LOCAL_TIMEOUT_MS = 10_000;

/** The `health` section as the checks behind `/debug/health`, named as the official registry names them. */
export function healthChecks(config: HealthConfig, probeStorage: () => Promise<void>, disk: Disk): readonly HealthCheck[] {
  const { storagedriver } = config;
  const storage =
    storagedriver === undefined
      ? []
      : [
          {
            name: 'storagedriver_filesystem',
            intervalMs: storagedriver.interval,
            timeoutMs: LOCAL_TIMEOUT_MS,
            threshold: storagedriver.threshold,
            look: probeStorage,
          },
        ];
  const files = config.file.map(({ file, interval, threshold }) => ({
    name: file,
    intervalMs: interval,
    timeoutMs: LOCAL_TIMEOUT_MS,
    threshold,
    look: fileLook(file, async (path) => (await disk.stat(path)) !== undefined),
  }));
  const web = config.http.map(({ uri, headers, statuscode, timeout, interval, threshold }) => ({
    name: shownUri(uri.reveal()),
    intervalMs: interval,
    timeoutMs: timeout,
    threshold,
    look: httpLook({
      url: uri.reveal(),
      status: statuscode,
      headers: Object.fromEntries([...headers].map(([name, values]) => [name, values.map((value) => value.reveal())])),
    }),
  }));
  const tcp = config.tcp.map(({ addr, timeout, interval, threshold }) => ({
    name: `${addr.host}:${addr.port}`,
    intervalMs: interval,
    timeoutMs: timeout,
    threshold,
    look: tcpLook(addr.host, addr.port),
  }));
  return [...storage, ...files, ...web, ...tcp];
}

/** Anybody may read `/debug/health`: what stands before the host or after the path may be a secret (S49). */
function shownUri(uri: string): string {
  const { origin, pathname } = new URL(uri);
  return `${origin}${pathname}`;
}
