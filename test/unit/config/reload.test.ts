import { describe, expect, test } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { createReloader, needsRestart, type ReloadOutcome } from '../../../src/config/reload.ts';
import { fingerprint, watchFiles } from '../../../src/config/watch.ts';
import { load, ROUTES } from './load.ts';

async function reloader(
  first: string,
): Promise<{ write: (yaml: string) => void; applied: Config[]; told: ReloadOutcome[]; it: ReturnType<typeof createReloader> }> {
  let text = first;
  const applied: Config[] = [];
  const told: ReloadOutcome[] = [];
  const it = createReloader(await load(text), {
    load: () => load(text),
    apply: (config) => void applied.push(config),
    report: (outcome) => void told.push(outcome),
  });
  return { write: (yaml) => (text = yaml), applied, told, it };
}

describe('reload', () => {
  test('puts what changed into effect, and names what needs a restart, each time until there is one', async () => {
    const { write, applied, it } = await reloader(`http: { addr: ":1" }\n${ROUTES}`);
    write(
      `http: { addr: ":2", draintimeout: 1s }\nmetadata: { path: /m }\nstorage: { filesystem: { rootdirectory: /r } }\n${ROUTES}`,
    );
    const restart = ['http.addr', 'storage.filesystem.rootdirectory', 'metadata'];
    expect(await it.reload()).toEqual({ kind: 'reloaded', restart, warnings: [] });
    expect(applied[0]).toMatchObject({
      http: { addr: { port: 1 }, draintimeout: 1000 },
      storage: { rootdirectory: '/var/lib/registry' },
    });
    expect(await it.reload()).toMatchObject({ restart });
    expect(it.current().http.addr.port).toBe(1);
  });

  test('a wrong file changes nothing and is said once, until it is another wrong file', async () => {
    const { write, applied, told, it } = await reloader(ROUTES);
    write('http: { addr: nonsense }');
    expect(await it.reload()).toMatchObject({ kind: 'refused' });
    expect(await it.reload()).toMatchObject({ kind: 'refused' });
    expect(told).toHaveLength(1);
    expect(applied).toEqual([]);
    write('http: { adr: 1 }');
    await it.reload();
    expect(told).toHaveLength(2);
    write(ROUTES);
    await it.reload();
    write('http: { adr: 1 }');
    await it.reload();
    expect(told.map(({ kind }) => kind)).toEqual(['refused', 'refused', 'reloaded', 'refused']);
  });

  test('calls at once are carried out one after the other', async () => {
    const { write, applied, it } = await reloader(ROUTES);
    const first = it.reload();
    write(`log: { level: debug }\n${ROUTES}`);
    await Promise.all([first, it.reload()]);
    expect(applied).toHaveLength(2);
    expect(it.current().log.level).toBe('debug');
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
