import { join } from 'node:path';
import { openLmdb } from '../../src/metadata/lmdb.ts';
import { createRecords, type Records } from '../../src/metadata/records.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { systemClock } from '../../src/system/clock.ts';
import { nodeDisk } from '../../src/system/node-disk.ts';
import { until } from './acceptance.ts';
import type { Stage } from './harness.ts';

/** The records of a data directory, read by this process; whoever opens them closes them. */
export async function openRecords(directory: string): Promise<Records> {
  const store = await openLmdb({
    directory: join(directory, 'entrepot/metadata'),
    disk: nodeDisk,
    remoteFileSystem: () => Promise.resolve(undefined),
  });
  return createRecords(store, { clock: systemClock });
}

/** At least so many bytes of a fill from docker.io are recorded. Nobody waits for a record: that is a little after they came. */
export async function untilRecorded(stage: Stage, digest: Digest, bytes: number): Promise<void> {
  const records = await openRecords(join(stage.directory, 'data'));
  try {
    await until(
      async () => (await records.part({ registry: 'docker.io', digest }))?.prefix?.bytes ?? 0,
      (recorded) => recorded >= bytes,
    );
  } finally {
    await records.close();
  }
}
