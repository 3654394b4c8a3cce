import { shortName } from '../content.ts';
import type { Check } from './check.ts';

const PAGE = 500;

/** A day later nothing is left of what nobody goes on with. */
export const leftovers: Check = {
  of: 'promise 6, I8',
  async onAged({ server, machine }) {
    const { blobs, records } = server.storage;
    const parts = await blobs.parts();
    const uploads = await records.uploads(undefined, PAGE);
    const marked: string[] = [];
    for (const digest of await records.hostedDigests(undefined, PAGE)) {
      if ((await records.blob(digest))?.state === 'deleting') marked.push(shortName(digest));
    }
    const strange = (await machine.disk.list('/data/entrepot/blobs')).filter((name) => name.startsWith('probe-'));
    return [
      ...parts.map(({ id, size }) => `the part ${id} of ${size} bytes is left`),
      ...uploads.map(({ repository }) => `an upload of ${repository} is left`),
      ...marked.map((name) => `${name} is still being deleted`),
      ...strange.map((name) => `${name} is left`),
    ];
  },
};
