import { MetadataForgot } from './unavailable.ts';
import type { ReportMetadata } from './events.ts';
import type { Records } from './records.ts';

/** What the data directory remembers of its metadata, so that it is noticed when they come back as others. */
export interface EpochMark {
  /** As the store had it. */
  readonly epoch: string;
  /** Something was pushed here: whose a repository is stands in that store alone. */
  readonly hosted: boolean;
}

/** Where the mark is; outside the store. */
export interface EpochFile {
  readonly path: string;
  /** `undefined` where there is none. */
  read(): Promise<EpochMark | undefined>;
  /** Durable when it resolves. */
  write(mark: EpochMark): Promise<void>;
}

export interface EpochOptions {
  readonly file: EpochFile;
  readonly newEpoch: () => string;
  /** Others stand in chains with what is hosted: `ping` tells then of a store that has forgotten. */
  readonly mixed: boolean;
  readonly report: ReportMetadata;
}

export type EpochRecords = Records & {
  /** As it was last found. */
  hasForgotten(): boolean;
};

/**
 * A store that came back empty (a Redis without persistence, another database) has forgotten who owns what, and would leave
 * every name that was pushed here to the rest of its chain, where anybody may have taken it (reliability.md, S14). So store and
 * data directory carry one epoch; "nobody owns it" is believed only while they agree, and rejects with {@link MetadataForgot}
 * otherwise. A directory that has seen nothing pushed takes the store's epoch over.
 */
export function withEpoch(records: Records, { file, newEpoch, mixed, report }: EpochOptions): EpochRecords {
  let mark: EpochMark | undefined;
  let forgotten = false;

  async function anyHosted(): Promise<boolean> {
    return (await records.hostedDigests(undefined, 1)).length > 0;
  }

  /** The store's epoch, a new one where it has none. */
  async function adopt(): Promise<void> {
    const epoch = await records.claimEpoch(newEpoch());
    // What the disk remembers a crash must not take from the store.
    await records.flushed();
    mark = { epoch, hosted: await anyHosted() };
    // On a disk that cannot be written it is as good as it was before there were epochs.
    await file.write(mark).catch(() => undefined);
  }

  async function settle(stands: string | undefined): Promise<void> {
    // Another process may have written it, or a person taken it away.
    const written = (await file.read()) ?? (mark?.hosted === true ? undefined : mark);
    if (written?.hosted === true && written.epoch !== stands) {
      // The mark may be newer than what was read of the store: another first push wrote both meanwhile.
      const now = await records.epoch();
      if (now !== stands) return settle(now);
      const error = new MetadataForgot(
        `the metadata are not those in which this data directory's pushes are recorded (emptied, or another database): nobody can tell which names were pushed here, so that none of a chain with hosted is answered. Restore them; or give these names back to their chains by removing ${file.path}`,
      );
      if (!forgotten) report({ kind: 'metadata-forgot', why: error.message });
      forgotten = true;
      throw error;
    }
    forgotten = false;
    if (written !== undefined && written.epoch === stands) mark = written;
    else await adopt();
  }

  async function check(): Promise<void> {
    const stands = await records.epoch();
    if (stands === undefined || stands !== mark?.epoch) await settle(stands);
    forgotten = false;
  }

  /** Before the first thing that is pushed can be told of to anybody. */
  async function noteHosted(): Promise<void> {
    if (mark?.hosted === true) return;
    await check();
    if (mark === undefined || mark.hosted) return;
    const noted = { ...mark, hosted: true };
    await file.write(noted);
    mark = noted;
  }

  return {
    ...records,
    hasForgotten: () => forgotten,
    async owner(repository) {
      const owner = await records.owner(repository);
      // Asked afterwards: what was read before the store was emptied is as good as it was.
      if (owner === undefined) await check();
      return owner;
    },
    async putHosted(repository, push) {
      await noteHosted();
      return records.putHosted(repository, push);
    },
    async ping() {
      await records.ping();
      try {
        await check();
        // Another node may have been the one that was pushed to.
        if (mark?.hosted === false && (await anyHosted())) await noteHosted();
      } catch (error) {
        if (mixed || !(error instanceof MetadataForgot)) throw error;
      }
    },
  };
}
