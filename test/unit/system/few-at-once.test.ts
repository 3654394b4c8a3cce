import { expect, test } from 'vitest';
import { fewAtOnce } from '../../../src/system/few-at-once.ts';
import { nodeDisk, toOpenFile } from '../../../src/system/node-disk.ts';

/** Work that ends when it is told to, in the order in which it began. */
function held(): {
  readonly work: (name: string) => () => Promise<string>;
  readonly begun: string[];
  end(failure?: Error): void;
} {
  const begun: string[] = [];
  const ends: ((failure?: Error) => void)[] = [];
  return {
    begun,
    work: (name) => () => {
      begun.push(name);
      return new Promise(
        (resolve, reject) => void ends.push((failure) => (failure === undefined ? resolve(name) : reject(failure))),
      );
    },
    end: (failure) => ends.shift()?.(failure),
  };
}

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test('so many run at a time, and the others in the order of coming', async () => {
  const { work, begun, end } = held();
  const few = fewAtOnce(2);
  const all = ['a', 'b', 'c', 'd'].map((name) => few(work(name)));
  await settled();
  expect(begun).toEqual(['a', 'b']);
  end();
  await settled();
  expect(begun).toEqual(['a', 'b', 'c']);
  for (let at = 0; at < 3; at++) {
    end();
    await settled();
  }
  expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd']);
});

test('what fails gives its place to the next, whoever comes while none waits has one', async () => {
  const { work, begun, end } = held();
  const few = fewAtOnce(1);
  const failing = few(work('a'));
  const next = few(work('b'));
  await settled();
  end(new Error('EIO'));
  await expect(failing).rejects.toThrow('EIO');
  end();
  expect(await next).toBe('b');
  const last = few(work('c'));
  await settled();
  expect(begun).toEqual(['a', 'b', 'c']);
  end();
  expect(await last).toBe('c');
});

test('syncs leave threads to those who read what is held', async () => {
  const { work, begun, end } = held();
  const handle = { sync: work('sync'), stat: async () => ({ size: 7 }) } as unknown as Parameters<typeof toOpenFile>[0];
  const files = Array.from({ length: 10 }, () => toOpenFile(handle));
  const syncing = files.map((file) => file.sync());
  const directory = nodeDisk.syncDirectory('/');
  await settled();
  expect(begun).toHaveLength(Math.max(1, Math.floor((Number(process.env['UV_THREADPOOL_SIZE']) || 4) / 2)));
  expect(await files[9]?.size()).toBe(7);
  while (begun.length < 10) {
    end();
    await settled();
  }
  for (let at = 0; at < 10; at++) end();
  await Promise.all([...syncing, directory]);
});
