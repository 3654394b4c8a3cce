import { describe, expect, test } from 'vitest';
import { CONFIG, scene, type Scene } from './scene.ts';

/** Resolves when the server listens. */
async function serving(at: Scene, ...args: string[]): Promise<{ done: Promise<{ exit: number; err: string }> }> {
  const done = at.command(...args);
  await at.clock.advance(0);
  await settled(() => at.reported.length > 0);
  return { done };
}

describe('serve', () => {
  test.each([
    [[]],
    [['serve']],
    [['serve', 'config.yml']],
    [['config.yml']],
    [['registry', 'serve', 'config.yml']],
    [['--config', 'config.yml']],
  ])('%j serves, says where, and ends with 0 at SIGTERM', async (args) => {
    const at = await scene();
    const { done } = await serving(at, ...args);
    expect(at.reported).toEqual([
      {
        kind: 'listening',
        addresses: { main: '127.0.0.1:5000' },
        config: '/work/config.yml',
        rootdirectory: '/data',
        version: '1.2.3',
      },
    ]);
    at.signals.emit('SIGTERM');
    expect((await done).exit).toBe(0);
    expect(at.signals.listenerCount('SIGTERM')).toBe(0);
  });

  test('a process that something keeps alive is ended', async () => {
    const at = await scene();
    const { done } = await serving(at);
    at.signals.emit('SIGINT');
    await done;
    expect(at.exits).toEqual([]);
    await at.clock.advance(3000);
    expect(at.exits).toEqual([0]);
  });

  test('a second SIGTERM ends it at once', async () => {
    let drained = (): void => {};
    const draining = new Promise<void>((resolve) => (drained = resolve));
    const at = await scene();
    const started = await at.context.startServer({} as never, {} as never);
    Object.assign(started, { drain: () => draining });
    const { done } = await serving(at);
    at.signals.emit('SIGTERM');
    await new Promise((resolve) => setImmediate(resolve));
    expect(at.exits).toEqual([]);
    at.signals.emit('SIGTERM');
    expect(at.exits).toEqual([0]);
    drained();
    await done;
  });

  test('a SIGHUP while it starts, drains or lingers ends nothing', async () => {
    let started = (): void => {};
    const starting = new Promise<void>((resolve) => (started = resolve));
    const at = await scene();
    const { startServer } = at.context;
    Object.assign(at.context, {
      startServer: async (...args: Parameters<typeof startServer>) => {
        await starting;
        return await startServer(...args);
      },
    });
    const done = at.command('serve');
    await settled(() => at.signals.listenerCount('SIGHUP') > 0);
    // What nobody listens to is what ends a process.
    expect(at.signals.emit('SIGHUP')).toBe(true);
    started();
    await settled(() => at.reported.length > 0);
    at.signals.emit('SIGTERM');
    expect((await done).exit).toBe(0);
    expect(at.signals.emit('SIGHUP')).toBe(true);
    expect(at.reported).toMatchObject([{ kind: 'listening' }]);
  });

  test('SIGHUP reloads; a wrong file changes nothing and is said', async () => {
    const at = await scene();
    const { done } = await serving(at);
    await at.write('/work/config.yml', CONFIG.replace('name: hub', 'name: other'));
    at.signals.emit('SIGHUP');
    await settled(() => at.reported.length > 1);
    expect(at.reloads.map(({ routes }) => routes[0]?.name)).toEqual(['other']);
    await at.write('/work/config.yml', 'bogus: 1');
    at.signals.emit('SIGHUP');
    await settled(() => at.reported.length > 2);
    expect(at.reported.slice(1)).toMatchObject([
      { kind: 'reloaded' },
      { kind: 'reload-failed', message: expect.stringContaining('bogus') as string },
    ]);
    expect(at.reloads).toHaveLength(1);
    at.signals.emit('SIGTERM');
    await done;
  });

  test('a wrong file that is put back as it was is read again, so that the metric says that all is well', async () => {
    const at = await scene();
    const { done } = await serving(at);
    const look = async (): Promise<void> => {
      await at.clock.advance(2000);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await at.write('/work/config.yml', 'bogus: 1');
    for (let turn = 0; turn < 5; turn += 1) await look();
    expect(at.reported.at(-1)).toMatchObject({ kind: 'reload-failed' });
    await at.write('/work/config.yml', CONFIG);
    for (let turn = 0; turn < 6; turn += 1) await look();
    const kinds = at.reported.map(({ kind }) => kind);
    expect(kinds.at(-1)).toBe('reloaded');
    expect(kinds.filter((kind) => kind === 'reloaded')).toHaveLength(1);
    at.signals.emit('SIGTERM');
    await done;
  });

  test('what keeps it from starting is one line: 1', async () => {
    const at = await scene({ startServer: () => Promise.reject(new Error('listen EADDRINUSE 127.0.0.1:5000')) });
    expect(await at.command('serve')).toMatchObject({ exit: 1, err: 'cannot start: listen EADDRINUSE 127.0.0.1:5000\n' });
  });

  test.each([
    [{ code: 'EADDRINUSE', address: '127.0.0.1', port: 5000 }, '127.0.0.1:5000 is taken by another program: stop that one'],
    [{ code: 'EADDRINUSE', address: '::', port: 5000 }, '[::]:5000 is taken'],
    [{ code: 'EACCES', address: '0.0.0.0', port: 80 }, '0.0.0.0:80 may not be listened on by this user'],
    [{ code: 'EADDRNOTAVAIL', address: '192.0.2.7', port: 5000 }, '192.0.2.7:5000 is no address of this machine'],
    [{ code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'mirror.test' }, 'mirror.test is a name that nobody knows'],
  ])('an address that cannot be listened on says what to do: %j', async (what, said) => {
    const error = Object.assign(new Error('listen'), { syscall: 'listen', ...what });
    const { exit, err } = await (await scene({ startServer: () => Promise.reject(error) })).command('serve');
    expect(exit).toBe(1);
    expect(err).toContain(`cannot start: ${said}`);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
  });

  test('a directory that may not be made: the commands that make it', async () => {
    const at = await scene();
    const denied = Object.assign(new Error('mkdir'), { code: 'EACCES' });
    Object.assign(at.context.disk, { makeDirectory: () => Promise.reject(denied), stat: () => Promise.resolve(undefined) });
    expect((await at.command('serve')).err).toMatch(/: run {2}mkdir -p \/data && chown -R \d+:\d+ \/data\n$/);
  });

  test('a volume of somebody else’s: the command that mends it', async () => {
    const at = await scene();
    const denied = Object.assign(new Error('mkdir'), { code: 'EACCES' });
    const stat = (): Promise<object> => Promise.resolve({ size: 0, modified: 0, directory: true });
    Object.assign(at.context.disk, { makeDirectory: () => Promise.reject(denied), stat });
    const { exit, err } = await at.command('serve');
    expect(exit).toBe(1);
    expect(err).toMatch(/^\/data may not be written by this user: run {2}chown -R \d+:\d+ \/data\n$/);
  });

  test('a disk in trouble of another kind does not keep it from serving', async () => {
    const at = await scene();
    Object.assign(at.context.disk, {
      makeDirectory: () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' })),
    });
    const { done } = await serving(at);
    expect(at.reported).toMatchObject([{ kind: 'listening' }]);
    at.signals.emit('SIGTERM');
    await done;
  });
});

/** However long a command takes to load; what never comes ends with the test's time. */
async function settled(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
