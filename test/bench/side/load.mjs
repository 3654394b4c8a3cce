// Load: wrk for small answers, clients of our own that check each byte for large ones; both in processes of their own.
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { ACCEPT, cpuSeconds } from './processes.mjs';

const run = promisify(execFile);

/** GETs of these paths in turn, over so many connections; throws where one was not answered 200. */
export async function hammer({ url, pid }, paths, { seconds, connections = 32, script }) {
  const list = paths.map((path) => `"${path}"`).join(',');
  writeFileSync(
    script,
    `local paths = {${list}}\nlocal at = 0\n` +
      `wrk.headers["Accept"] = "${ACCEPT}"\n` +
      'request = function() at = at % #paths + 1 return wrk.format("GET", paths[at]) end\n' +
      'done = function(summary, latency)\n' +
      '  local e = summary.errors\n' +
      '  io.write(string.format("\\nFIGURES %d %d %d %d %d\\n", summary.requests, summary.duration, e.status + e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))\n' +
      'end\n',
  );
  const before = cpuSeconds(pid);
  const { stdout } = await run('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, url], { maxBuffer: 1e7 });
  const cpu = cpuSeconds(pid) - before;
  const [requests, duration, errors, p50, p99] = (/FIGURES (.*)/.exec(stdout)?.[1] ?? '').split(' ').map(Number);
  if (!(requests > 0) || errors > 0) throw new Error(`${url}: ${errors} of ${requests} requests failed\n${stdout}`);
  return { perSecond: requests / (duration / 1e6), cpuPer10k: (cpu / requests) * 10_000, p50: p50 / 1000, p99: p99 / 1000 };
}

/** Downloads by so many clients at once, each byte looked at. `times`: how often each of them, one after the other. */
export async function download({ pid }, urls, { clients = 1, times = 1 } = {}) {
  const before = cpuSeconds(pid);
  const child = fork(new URL('client.mjs', import.meta.url).pathname, [JSON.stringify({ urls, clients, times })]);
  const exited = once(child, 'exit');
  const [result] = await once(child, 'message');
  await exited;
  if (result.fault !== undefined) throw new Error(`${urls[0]}: ${result.fault}`);
  const cpu = cpuSeconds(pid) - before;
  const gigabytes = result.bytes / 1e9;
  return {
    seconds: result.seconds,
    gigabytesPerSecond: gigabytes / result.seconds,
    cpuPerGigabyte: cpu / gigabytes,
    firstByteMs: result.firstByteMs,
  };
}
