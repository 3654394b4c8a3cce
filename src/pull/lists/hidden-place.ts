import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import type { Records } from '../../metadata/records.ts';
import type { Random } from '../../system/random.ts';

/** No repository's name begins so. */
const MARK = '~';
const IV_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/**
 * Places in a list as clients may be told of them where a name stands there that is not theirs to know: encrypted, under a key that all
 * processes of this mirror have from the metadata.
 */
export interface HiddenPlaces {
  hide(name: string): Promise<string>;
  /** `undefined`: none that was hidden here. */
  find(text: string): Promise<string | undefined>;
}

export interface HiddenPlacesDeps {
  readonly records: Pick<Records, 'remembered' | 'remember'>;
  readonly random: Random;
}

export function createHiddenPlaces(deps: HiddenPlacesDeps): HiddenPlaces {
  let key: Promise<Buffer> | undefined;
  const keyNow = (): Promise<Buffer> =>
    (key ??= readKey(deps).catch((error: unknown) => {
      key = undefined;
      throw error;
    }));
  return {
    async hide(name) {
      const secret = await keyNow();
      // The same for the same name: nothing is told by that, and no chance is used up.
      const iv = createHmac('sha256', secret).update(name).digest().subarray(0, IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', secret, iv);
      const hidden = Buffer.concat([iv, cipher.update(name, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `${MARK}${hidden.toString('base64url')}`;
    },
    async find(text) {
      const hidden = Buffer.from(text.slice(MARK.length), 'base64url');
      if (!text.startsWith(MARK) || hidden.length <= IV_BYTES + TAG_BYTES) return undefined;
      const decipher = createDecipheriv('aes-256-gcm', await keyNow(), hidden.subarray(0, IV_BYTES));
      decipher.setAuthTag(hidden.subarray(-TAG_BYTES));
      try {
        return Buffer.concat([decipher.update(hidden.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]).toString('utf8');
      } catch {
        return undefined; // Made up, or of another mirror.
      }
    },
  };
}

/** No upstream has this name. */
const HOUSE = '';
const NAME = 'hidden places';
/** As late as a date can be (ECMA-262, "Time Values and Time Range"). */
const FOREVER = 8.64e15;

async function readKey({ records, random }: HiddenPlacesDeps): Promise<Buffer> {
  const known = await records.remembered(HOUSE, NAME);
  if (known !== undefined) return Buffer.from(known.value, 'hex');
  await records.remember(HOUSE, NAME, { value: Buffer.from(random.bytes(KEY_BYTES)).toString('hex'), until: FOREVER });
  // Of several that come at once the last to write gives all of them its key.
  return Buffer.from((await records.remembered(HOUSE, NAME))?.value ?? '', 'hex');
}
