import type { Admin } from '../admin/admin.ts';
import type { Config } from '../config/config.ts';
import { auditLine, type Audited } from '../observe/audit.ts';
import { createFileSink } from '../observe/file-sink.ts';
import type { LineSink } from '../observe/line-sink.ts';
import { createAppendedFile } from '../system/appended-file.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';

export interface AuditingDeps {
  readonly system: { readonly clock: Clock; readonly disk: Disk };
  /** Standard output, for `-`; `undefined` where that is for something else. */
  readonly stdout: LineSink | undefined;
  /** Once for each trouble with the file: with what is wrong, then `undefined`. */
  readonly onTrouble: (error: unknown) => void;
}

/** The record of who did what, where the configuration asks for one. Never throws, and nobody waits for it. */
export interface Auditing {
  note(event: Audited): void;
  /** Where a new configuration has it. */
  apply(config: Pick<Config, 'audit'>): void;
  stop(): Promise<void>;
}

export function createAuditing({ system, stdout, onTrouble }: AuditingDeps): Auditing {
  const { clock, disk } = system;
  let current: { readonly file: string; readonly write: (line: string) => void; stop(): Promise<void> } | undefined;
  let stopping: Promise<unknown> = Promise.resolve();

  function open(file: string): NonNullable<typeof current> {
    if (file === '-') return { file, write: (line) => stdout?.write(line), stop: () => Promise.resolve() };
    const { append, close } = createAppendedFile(disk, file);
    const sink = createFileSink({
      append,
      after: (ms, callback) => clock.after(ms, callback),
      onTrouble: (error) => {
        if (opened === current) onTrouble(error);
        if (error === undefined) tellLost();
      },
    });
    let toldLost = 0;
    const tellLost = (): void => {
      const records = sink.dropped() - toldLost;
      toldLost += records;
      if (records > 0) sink.write(auditLine({ kind: 'lost', records }, clock.now()) ?? '');
    };
    const opened = { file, write: sink.write, stop: () => sink.stop().then(close) };
    return opened;
  }

  async function leave(before: typeof current): Promise<void> {
    await before?.stop();
  }

  return {
    note(event) {
      const line = current && auditLine(event, clock.now());
      if (line !== undefined) current?.write(line);
    },
    apply({ audit: { file } }) {
      if (file === current?.file) return;
      const before = current;
      current = file === undefined ? undefined : open(file);
      // Whatever it was, it is no longer that file's.
      onTrouble(undefined);
      stopping = Promise.all([stopping, leave(before)]);
    },
    async stop() {
      await stopping;
      await leave(current);
    },
  };
}

type Command = Extract<Audited, { readonly kind: 'command' }>['command'];

/** Tells of what is done by command and changes who may what, or what is kept. */
export function withAudit(admin: Admin, note: Auditing['note']): Admin {
  const told =
    <Asked, Done>(command: Command, does: (asked: Asked) => Promise<Done>, nameOf: (done: Done) => string) =>
    async (asked: Asked): Promise<Done> => {
      const done = await does(asked);
      note({ kind: 'command', command, name: nameOf(done) });
      return done;
    };
  /** As the first of it has gone or come: what comes after that may break off. */
  async function* begun<Step>(command: Command, name: string, steps: AsyncIterable<Step>): AsyncGenerator<Step> {
    let isTold = false;
    for await (const step of steps) {
      if (!isTold) note({ kind: 'command', command, name });
      isTold = true;
      yield step;
    }
  }
  return {
    ...admin,
    createToken: told(
      'token create',
      (request) => admin.createToken(request),
      ({ name }) => name,
    ),
    revokeToken: told(
      'token revoke',
      (name) => admin.revokeToken(name),
      ({ name }) => name,
    ),
    pin: told(
      'pin',
      (pattern) => admin.pin(pattern),
      ({ text }) => text,
    ),
    unpin: told(
      'unpin',
      (pattern) => admin.unpin(pattern),
      ({ text }) => text,
    ),
    release: told(
      'release',
      (image) => admin.release(image),
      ({ image, digest }) => `${image} ${digest}`,
    ),
    disown: told(
      'disown',
      (repository) => admin.disown(repository),
      ({ repository }) => repository,
    ),
    evict(request) {
      const steps = admin.evict(request);
      return request.dryRun ? steps : begun('evict', String(request.pattern), steps);
    },
    collect(request) {
      const steps = admin.collect(request);
      return request.dryRun ? steps : begun('collect', request.deleteUntagged ? 'untagged too' : 'what nothing needs', steps);
    },
    import(request) {
      const steps = admin.import(request);
      return request.dryRun ? steps : begun('import', request.directory, steps);
    },
  };
}
