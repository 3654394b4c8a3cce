import { beforeEach, describe, expect, test } from 'vitest';
import { createHashing } from '../../../src/auth/hashing.ts';
import { createHtpasswd, type Htpasswd, type HtpasswdEvent } from '../../../src/auth/htpasswd.ts';
import type { RegistryError } from '../../../src/oci/errors.ts';
import { createFakeBcrypt, type FakeBcrypt } from '../../fakes/fake-bcrypt.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { putFile } from '../../fakes/put-file.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const PATH = '/etc/entrepot/htpasswd';
const HERE = '198.51.100.7';
const ANN = { kind: 'user', name: 'ann' };

let clock: FakeClock;
let disk: MemoryDisk;
let bcrypt: FakeBcrypt;
let events: HtpasswdEvent[];
let htpasswd: Htpasswd;

const put = (...lines: readonly string[]): Promise<void> => putFile(disk, PATH, `${lines.join('\n')}\n`);

beforeEach(async () => {
  clock = createFakeClock();
  disk = createMemoryDisk({ now: clock.now });
  bcrypt = createFakeBcrypt();
  events = [];
  await put(`ann:${bcrypt.hash('right')}`, `bob:${bcrypt.hash('bobs')}`);
  htpasswd = createHtpasswd({
    path: PATH,
    disk,
    clock,
    random: createSeededRandom(1),
    hashing: createHashing({ clock, verify: bcrypt.verify }),
    report: (event) => void events.push(event),
  });
});

describe('a password', () => {
  test('says who somebody is, where it is theirs', async () => {
    expect(await htpasswd.verify('ann', 'right', HERE)).toEqual(ANN);
    expect(await htpasswd.verify('ann', 'bobs', HERE)).toBeUndefined();
    expect(await htpasswd.verify('Ann', 'right', HERE)).toBeUndefined();
    expect(await htpasswd.verify('carol', 'right', HERE)).toBeUndefined();
    expect(await htpasswd.verify('__proto__', 'right', HERE)).toBeUndefined();
    expect(await htpasswd.verify('', '', HERE)).toBeUndefined();
  });

  test('that was right is not hashed again for a minute, and then is', async () => {
    await htpasswd.verify('ann', 'right', HERE);
    await clock.advance(59_999);
    expect(await htpasswd.verify('ann', 'right', '203.0.113.9')).toEqual(ANN);
    expect(bcrypt.calls()).toBe(1);
    await clock.advance(1);
    expect(await htpasswd.verify('ann', 'right', HERE)).toEqual(ANN);
    expect(bcrypt.calls()).toBe(2);
  });

  test('that was wrong is wrong for a minute without being hashed: an old one in a client locks nobody out', async () => {
    for (let at = 0; at < 50; at += 1) expect(await htpasswd.verify('ann', 'wrong', HERE)).toBeUndefined();
    expect(bcrypt.calls()).toBe(1);
    // Another one is a guess, and waits.
    const other = htpasswd.verify('ann', 'other', HERE);
    await clock.advance(0);
    expect(bcrypt.calls()).toBe(1);
    await clock.advance(1000);
    expect(await other).toBeUndefined();
    expect(bcrypt.calls()).toBe(2);
    await clock.advance(60_000);
    expect(await htpasswd.verify('ann', 'wrong', HERE)).toBeUndefined();
    expect(bcrypt.calls()).toBe(3);
    await put(`ann:${bcrypt.hash('wrong')}`);
    await clock.advance(5000);
    expect(await htpasswd.verify('ann', 'wrong', HERE)).toEqual(ANN);
  });

  test('[S40] is not heard, right or wrong, from where others were wrong just now, and is from elsewhere', async () => {
    for (let at = 0; at < 1000; at += 1) {
      const guess = htpasswd.verify('ann', `wrong-${at}`, `198.51.100.${at % 50}`);
      expect(await guess.catch((error: unknown) => (error as { status: number }).status)).toBe(at < 50 ? undefined : 429);
    }
    expect(bcrypt.calls()).toBe(50);
    await expect(htpasswd.verify('ann', 'right', '198.51.100.1')).rejects.toMatchObject({ status: 429 });
    expect(await htpasswd.verify('ann', 'right', '203.0.113.9')).toEqual(ANN);
    // What was proved elsewhere need not be proved again.
    expect(await htpasswd.verify('ann', 'right', '198.51.100.1')).toEqual(ANN);
  });

  test('that many requests bring at once is hashed once, from wherever they come', async () => {
    const open = bcrypt.hold();
    const answers = Array.from({ length: 200 }, (_, at) => htpasswd.verify('ann', 'right', `198.51.100.${at % 50}`));
    await clock.advance(0);
    open();
    for (const answer of answers) expect(await answer).toEqual(ANN);
    expect(bcrypt.calls()).toBe(1);
  });

  test('[S31] is hashed alone in its process, and no more wait than 32', async () => {
    const open = bcrypt.hold();
    const answers = Array.from({ length: 100 }, (_, at) =>
      htpasswd.verify(`user-${at}`, 'wrong', `198.51.100.${at}`).catch((error: unknown) => error),
    );
    await clock.advance(0);
    open();
    const outcomes = await Promise.all(answers);
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(33);
    const refused = outcomes.filter((outcome) => outcome !== undefined);
    for (const error of refused)
      expect(error).toMatchObject({ code: 'TOOMANYREQUESTS', status: 429, headers: { 'Retry-After': '1' } });
    expect(bcrypt.mostAtOnce()).toBe(1);
    expect(bcrypt.calls()).toBe(33);
  });

  test('that nobody had time to look at counts for nothing', async () => {
    const open = bcrypt.hold();
    const others = Array.from({ length: 33 }, (_, at) => htpasswd.verify('bob', `wrong-${at}`, `203.0.113.${at}`));
    await clock.advance(0);
    await expect(htpasswd.verify('ann', 'wrong', HERE)).rejects.toThrow('too many sign-ins at once');
    open();
    await Promise.all(others);
    expect(await htpasswd.verify('ann', 'right', HERE)).toEqual(ANN);
  });

  test('[S33] [CVE-2024-9683] is never judged by its first 72 bytes', async () => {
    const long = 'a'.repeat(72);
    await put(`ann:${bcrypt.hash(`${long}X`)}`, `bob:${bcrypt.hash(long)}`, `carol:${bcrypt.hash('a\0a')}`);
    expect(await htpasswd.verify('ann', `${long}Y`, HERE)).toBeUndefined();
    expect(await htpasswd.verify('ann', `${long}X`, '203.0.113.1')).toBeUndefined();
    expect(await htpasswd.verify('bob', long, HERE)).toEqual({ kind: 'user', name: 'bob' });
    expect(await htpasswd.verify('carol', 'a\0a', HERE)).toBeUndefined();
    expect(bcrypt.calls()).toBe(4);
  });

  test('[S32] [GHSA-c2fc-9q9c-5486] [CVE-2023-20902] that is wrong takes as long as the dearest hash, whoever it is for and whatever is wrong with it', async () => {
    await put(`ann:${bcrypt.hash('right', 10)}`, `bob:${bcrypt.hash('bobs', 13)}`, `eve:${bcrypt.hash('x'.repeat(72), 12)}`);
    const wrong: readonly [string, string][] = [
      ['ann', 'wrong'],
      ['bob', 'wrong'],
      ['nobody', 'wrong'],
      ['eve', 'x'.repeat(73)],
      ['bob', 'b\0b'],
    ];
    for (const [user, password] of wrong) {
      const before = bcrypt.rounds();
      expect(await htpasswd.verify(user, password, `${user}.${password.length}`)).toBeUndefined();
      expect(bcrypt.rounds() - before, `${user} ${password}`).toBe(2 ** 13);
    }
  });
});

describe('a user', () => {
  test('stands for as long as their line does', async () => {
    await htpasswd.verify('ann', 'right', HERE);
    const print = htpasswd.fingerprint('ann')!;
    expect(await htpasswd.stands('ann', print)).toBe(true);
    expect(await htpasswd.stands('bob', print)).toBe(false);
    expect(htpasswd.fingerprint('nobody')).toBeUndefined();
    await put(`ann:${bcrypt.hash('new')}`);
    expect(await htpasswd.stands('ann', print)).toBe(false);
    expect(htpasswd.fingerprint('ann')).not.toBe(print);
    await put(`ann:${bcrypt.hash('right')}`);
    expect(await htpasswd.stands('ann', print)).toBe(true);
    await put(`bob:${bcrypt.hash('right')}`);
    expect(await htpasswd.stands('ann', print)).toBe(false);
    expect(await htpasswd.stands('nobody', print)).toBe(false);
  });

  test('who is taken out, or given another password, is refused with the next request', async () => {
    await htpasswd.verify('ann', 'right', HERE);
    await put(`ann:${bcrypt.hash('new')}`, `bob:${bcrypt.hash('bobs')}`);
    expect(await htpasswd.verify('ann', 'right', HERE)).toBeUndefined();
    await htpasswd.verify('bob', 'bobs', HERE);
    await put(`ann:${bcrypt.hash('new')}`);
    expect(await htpasswd.verify('bob', 'bobs', HERE)).toBeUndefined();
  });

  test('has the same fingerprint in every process, which tells nothing of the hash', async () => {
    await htpasswd.load();
    const print = htpasswd.fingerprint('ann')!;
    const hashing = createHashing({ clock, verify: bcrypt.verify });
    const other = createHtpasswd({ path: PATH, disk, clock, random: createSeededRandom(2), hashing, report: () => undefined });
    await other.load();
    expect(other.fingerprint('ann')).toBe(print);
    expect(print).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(bcrypt.hash('right')).not.toContain(print);
  });
});

test('[S40] who was right from there before is heard, and first, while strangers from everywhere fill the line', async () => {
  expect(await htpasswd.verify('ann', 'right', HERE)).toEqual(ANN);
  await clock.advance(60_000);
  const letGo = bcrypt.hold();
  const ended: string[] = [];
  const guesses = Array.from({ length: 40 }, (_, at) =>
    htpasswd.verify(`user-${at}`, 'guess', `203.0.113.${at}`).then(
      () => ended.push('stranger'),
      () => ended.push('turned away'),
    ),
  );
  await clock.advance(0);
  const signedIn = htpasswd.verify('ann', 'right', HERE).finally(() => ended.push('ann'));
  await clock.advance(0);
  letGo();
  expect(await signedIn).toEqual(ANN);
  await Promise.all(guesses);
  expect(ended.filter((one) => one === 'turned away')).toHaveLength(7);
  // The one that worked could not be sent away.
  expect(ended.filter((one) => one !== 'turned away').indexOf('ann')).toBe(1);
});

describe('the file', () => {
  const wrong = () => events.filter(({ kind }) => kind === 'htpasswd-wrong');

  test('that turns bad leaves what it said before in force, and is said once', async () => {
    await htpasswd.load();
    await put('ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=');
    for (let at = 0; at < 3; at += 1) expect(await htpasswd.verify('ann', 'right', HERE)).toEqual(ANN);
    expect(wrong()).toHaveLength(1);
    expect(wrong()[0]).toMatchObject({
      path: PATH,
      faults: [expect.stringMatching(/^\/etc\/entrepot\/htpasswd:1: ann has a SHA-1/)],
    });
    await put(`ann:${bcrypt.hash('new')}`);
    expect(await htpasswd.verify('ann', 'new', HERE)).toEqual(ANN);
    await put('ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=');
    await htpasswd.verify('ann', 'new', HERE);
    expect(wrong()).toHaveLength(2);
  });

  test('that is gone or cannot be read leaves what it said before in force, and is said once', async () => {
    await htpasswd.load();
    await disk.unlink(PATH);
    for (let at = 0; at < 3; at += 1) expect(await htpasswd.verify('ann', 'right', HERE)).toEqual(ANN);
    expect(wrong()).toEqual([{ kind: 'htpasswd-wrong', path: PATH, faults: [`${PATH} cannot be read (ENOENT)`] }]);
  });

  test('that is empty is being written, and after two seconds it is empty', async () => {
    await htpasswd.load();
    await putFile(disk, PATH, '');
    expect(await htpasswd.verify('ann', 'right', HERE)).toEqual(ANN);
    await clock.advance(2000);
    expect(await htpasswd.verify('ann', 'right', HERE)).toBeUndefined();
    expect(events.at(-1)).toMatchObject({ users: 0, warnings: [expect.stringContaining('nobody is in it')] });
    expect(wrong()).toEqual([]);
  });

  test('stops a start that it is no good for, with every line that is wrong', async () => {
    await put('# users', 'ann:secret', '', `bob:${bcrypt.hash('b', 15)}`, ':x');
    const error = await htpasswd.load().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'HtpasswdFault' });
    const { faults } = error as { faults: string[] };
    expect(faults.map((fault) => fault.slice(0, PATH.length + 3))).toEqual([`${PATH}:2:`, `${PATH}:4:`, `${PATH}:5:`]);
    expect(faults.join()).not.toContain('secret');
    await expect(htpasswd.verify('ann', 'secret', HERE)).rejects.toMatchObject({ status: 503 });
    await disk.unlink(PATH);
    await expect(htpasswd.load()).rejects.toThrow(`${PATH} cannot be read (ENOENT)`);
  });

  test('is parsed once while it does not change, right or wrong', async () => {
    await htpasswd.load();
    for (let at = 0; at < 5; at += 1) await htpasswd.stands('ann', '');
    expect(events).toHaveLength(1);
    expect(disk.calls('open')).toBe(2);
  });

  test('on a disk that hangs holds up nobody for more than a second', async () => {
    await htpasswd.load();
    let let_go = (): void => undefined;
    const real = disk.stat.bind(disk);
    disk.stat = async (path) => {
      await new Promise<void>((resolve) => (let_go = resolve));
      return real(path);
    };
    const answer = htpasswd.verify('ann', 'right', HERE);
    await clock.advance(999);
    expect(await Promise.race([answer, Promise.resolve('waits')])).toBe('waits');
    await clock.advance(1);
    expect(await answer).toEqual(ANN);
    // Whoever comes then does not wait any more.
    const later = htpasswd.verify('ann', 'right', HERE);
    await clock.advance(0);
    expect(await Promise.race([later, Promise.resolve('waits')])).toEqual(ANN);
    let_go();
  });

  test('that changes while it is looked at is looked at again for whoever asks then', async () => {
    await htpasswd.verify('ann', 'right', HERE);
    const real = disk.stat.bind(disk);
    const looks: (() => void)[] = [];
    disk.stat = async (path) => {
      const stat = await real(path);
      await new Promise<void>((resolve) => looks.push(resolve));
      return stat;
    };
    const before = htpasswd.verify('ann', 'right', HERE);
    await clock.advance(0);
    await put(`ann:${bcrypt.hash('new')}`);
    const after = [htpasswd.verify('ann', 'right', HERE), htpasswd.verify('ann', 'right', HERE)];
    await clock.advance(0);
    looks.shift()?.();
    expect(await before).toEqual(ANN);
    await clock.advance(0);
    expect(looks).toHaveLength(1);
    looks.shift()?.();
    for (const answer of after) expect(await answer).toBeUndefined();
  });
});

describe('a password that may be meant for another registry', () => {
  test('is known where it is right, and hashed once where it is wrong, from however many machines', async () => {
    expect(await htpasswd.recognize('ann', 'right', HERE)).toEqual(ANN);
    for (let at = 0; at < 50; at += 1) expect(await htpasswd.recognize('hub', 'secret', `10.0.0.${at}`)).toBeUndefined();
    expect(bcrypt.calls()).toBe(2);
    await clock.advance(3_600_000);
    expect(await htpasswd.recognize('hub', 'secret', HERE)).toBeUndefined();
    expect(bcrypt.calls()).toBe(2);
    await put(`hub:${bcrypt.hash('secret')}`);
    expect(await htpasswd.recognize('hub', 'secret', HERE)).toEqual({ kind: 'user', name: 'hub' });
  });

  test('holds up nobody who signs in from there', async () => {
    expect(await htpasswd.recognize('ann', 'of-docker-hub', HERE)).toBeUndefined();
    const signedIn = htpasswd.verify('ann', 'right', HERE);
    await clock.advance(0);
    expect(bcrypt.calls()).toBe(2);
    expect(await signedIn).toEqual(ANN);
  });

  test('[S40] is guessed no faster than another: who was wrong is not heard, which is not to be wrong', async () => {
    const outcomes = [];
    for (const password of ['one', 'two', 'right'])
      outcomes.push(await htpasswd.recognize('ann', password, HERE).catch((error: RegistryError) => error.status));
    expect(outcomes).toEqual([undefined, 429, 429]);
    expect(bcrypt.calls()).toBe(1);
    await clock.advance(1000);
    expect(await htpasswd.recognize('ann', 'right', HERE)).toEqual(ANN);
  });
});
