import { describe, expect, test } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { needsRestart, withFixed } from '../../../src/config/reload.ts';
import { fingerprint, watchFiles } from '../../../src/config/watch.ts';
import { load, ROUTES } from './load.ts';

describe('reload', () => {
  const first = `http: { addr: ":1" }\n${ROUTES}`;
  const second = `http: { addr: ":2", draintimeout: 1s, debug: { addr: ":3" } }\nmetadata: { path: /m }\nstorage: { filesystem: { rootdirectory: /r } }\n${ROUTES}`;
  const restart = ['http.addr', 'http.debug.addr', 'storage.filesystem.rootdirectory', 'metadata'];

  test('what needs a restart is named, each time until there is one', async () => {
    const [running, next] = [await load(first), await load(second)];
    expect(needsRestart(running, next)).toEqual(restart);
    expect(needsRestart(withFixed(running, next), next)).toEqual(restart);
    expect(needsRestart(running, running)).toEqual([]);
  });

  test('what does not need one takes effect, and nothing else', async () => {
    const applied = withFixed(await load(first), await load(second));
    expect(applied.http).toMatchObject({ addr: { port: 1 }, draintimeout: 1000, debug: undefined });
    expect(applied.storage.rootdirectory).toBe('/var/lib/registry');
    expect(applied.metadata).toEqual({ kind: 'lmdb', path: undefined });
  });

  test('the path of the metrics takes effect at the address that is listened on', async () => {
    const debug = (written: string): Promise<Config> =>
      load(`http: { debug: { addr: ":1", prometheus: ${written} } }\n${ROUTES}`);
    const applied = withFixed(await debug('{ path: /a }'), await debug('{ path: /b }'));
    expect(applied.http.debug).toEqual({ addr: { host: undefined, port: 1 }, metricsPath: '/b' });
  });

  test('another password of Redis needs a restart, though both print as stars', async () => {
    const redis = (password: string): Promise<Config> =>
      load(`metadata: redis\nredis: { addr: "r:1", password: ${password} }\n${ROUTES}`);
    expect(needsRestart(await redis('a'), await redis('b'))).toEqual(['redis']);
    expect(needsRestart(await redis('a'), await redis('a'))).toEqual([]);
  });
});

/** Looks when told to; each look is over when the next one has been asked for. */
function watching(
  read: () => string | undefined,
  onChange: () => void,
): { look: () => Promise<void>; close: () => void; running: Map<string, string> } {
  const running = new Map([['/c', fingerprint('a')]]);
  let due: (() => void) | undefined;
  let asked: (() => void) | undefined;
  const watch = watchFiles({
    watched: () => running,
    readFile: () => Promise.resolve(read()),
    after: (_, callback) => {
      due = callback;
      asked?.();
      return { cancel: () => (due = undefined) };
    },
    changed: () => Promise.resolve(onChange()),
    interval: 1000,
  });
  const look = (): Promise<void> =>
    new Promise((resolve) => {
      asked = resolve;
      const callback = due;
      due = undefined;
      if (callback === undefined) resolve();
      else callback();
    });
  return { look, close: () => watch.close(), running };
}

describe('watching', () => {
  test('a new content is told once it was seen twice, so that no half-written file is read', async () => {
    let text: string | undefined = 'a';
    let told = 0;
    const { look, running } = watching(
      () => text,
      () => {
        told += 1;
        running.set('/c', fingerprint(text));
      },
    );
    await look();
    await look();
    expect(told).toBe(0);
    text = 'b, half';
    await look();
    text = 'b, whole';
    await look();
    expect(told).toBe(0);
    await look();
    expect(told).toBe(1);
    await look();
    await look();
    expect(told).toBe(1);
  });

  test('a file that is gone is a change, and so is its return', async () => {
    const file: { text?: string } = {};
    let told = 0;
    const { look } = watching(
      () => file.text,
      () => void (told += 1),
    );
    await look();
    await look();
    expect(told).toBe(1);
    file.text = 'a';
    await look();
    await look();
    expect(told).toBe(1);
  });

  test('after close nobody looks again', async () => {
    let reads = 0;
    const { look, close } = watching(
      () => ((reads += 1), 'a'),
      () => undefined,
    );
    await look();
    close();
    await look();
    expect(reads).toBe(1);
  });
});
