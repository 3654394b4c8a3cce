import type { Clock } from '../system/clock.ts';
import type { BlobStore, OpenBlob, Part } from './blob-store.ts';
import { DiskSlow, Patience } from './patience.ts';

/** The same store, whose reads do not wait for ever: whoever reads goes to an upstream instead. */
export function withPatientReads<S extends BlobStore>(store: S, clock: Clock): S {
  const patience = new Patience(clock);
  return {
    ...store,
    async open(digest) {
      const opening = store.open(digest);
      const blob = await patience.limit('opening a file', opening).catch((error: unknown) => {
        if (error instanceof DiskSlow) opening.then((late) => late?.close()).catch(() => undefined); // Nobody waits for it.
        throw error;
      });
      return blob && patient(blob);
    },
  };

  function patient(blob: OpenBlob): OpenBlob {
    return { ...blob, read: (into, position) => patience.limit('a read', blob.read(into, position)) };
  }
}

/**
 * The same store, whose parts do not wait for ever to be written: a fill gives the disk up then, and its readers go on by
 * themselves. Not for what is pushed, which has nowhere else to go. Publishing waits as long as it takes: nobody waits for it
 * who has not had his bytes.
 */
export function withPatientParts<S extends BlobStore>(store: S, clock: Clock): S {
  const patience = new Patience(clock);
  return {
    ...store,
    async part(...asked) {
      const opening = store.part(...asked);
      const part = await patience.limit('making a file', opening).catch((error: unknown) => {
        if (error instanceof DiskSlow) opening.then(drop).catch(() => undefined); // A leftover is swept later.
        throw error;
      });
      return patient(part);
    },
  };

  function patient(part: Part): Part {
    let slow: DiskSlow | undefined;
    async function limit(what: string, work: () => Promise<void>): Promise<void> {
      if (slow !== undefined) throw slow;
      try {
        await patience.limit(what, work());
      } catch (error) {
        if (error instanceof DiskSlow) slow = error;
        throw error;
      }
    }
    return {
      id: part.id,
      resumedSize: part.resumedSize,
      expect: (size) => part.expect(size),
      read: (into, position) => part.read(into, position),
      publish: (digest) => part.publish(digest),
      retain: () => part.retain(),
      release: () => part.release(),
      write: (bytes, position) => limit('a write', () => part.write(bytes, position)),
      truncate: (size) => limit('a write', () => part.truncate(size)),
      sync: () => limit('a sync', () => part.sync()),
      async discard() {
        const discarding = part.discard();
        if (slow === undefined) return discarding;
        discarding.catch(() => undefined); // Nobody waits for a disk that was given up; a leftover is swept later.
      },
    };
  }
}

async function drop(part: Part): Promise<void> {
  await part.discard().finally(() => part.release());
}
