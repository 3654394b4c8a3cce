import { createHash, timingSafeEqual } from 'node:crypto';
import type { MachineTokenRecord, Records } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import { formatMachineToken, isMachineToken, parseMachineToken } from './machine-token-text.ts';
import { createRecent } from './recent.ts';
import type { MachineTokens } from './ways.ts';

export interface MachineTokensOptions {
  readonly records: Records['machineTokens'];
  readonly clock: Clock;
  readonly random: Random;
}

/** Machine tokens, with those who make and revoke them. */
export interface MachineTokenKeeping extends MachineTokens {
  /** `taken`: one that has not expired has the name. `full`: there are as many as there may be. */
  create(name: string, lifetimeMs: number | undefined): Promise<CreatedMachineToken | 'taken' | 'full'>;
  /** By name. */
  list(): Promise<readonly ListedMachineToken[]>;
  /** At once: the next request with it is refused. Yields what it was; `undefined`: there is none of that name. */
  revoke(name: string): Promise<ListedMachineToken | undefined>;
}

/** Times are ms since the epoch. */
export interface ListedMachineToken {
  readonly name: string;
  readonly created: number;
  readonly expires?: number;
  /** To the minute; `undefined`: never, or not for long enough to be noted. */
  readonly used?: number;
}

export interface CreatedMachineToken extends ListedMachineToken {
  /** The token itself: kept nowhere, and told here alone. */
  readonly text: string;
}

/** A use so soon after another of the same token is not written, lest each request be a write. */
const USE_STEP_MS = 60_000;
const USES_MAX = 10_000;

export function createMachineTokens({ records, clock, random }: MachineTokensOptions): MachineTokenKeeping {
  /** When a use was last noted, by id. */
  const noted = createRecent<number>(USES_MAX);

  function noteUse(id: string): void {
    const before = noted.get(id);
    if (before !== undefined && clock.monotonic() - before < USE_STEP_MS) return;
    noted.put(id, clock.monotonic());
    // Nobody waits for it, and a request does not fail for it: the next one notes it.
    records.used(id, clock.now()).catch(() => noted.delete(id));
  }

  async function standing(id: string): Promise<MachineTokenRecord | undefined> {
    const record = await records.get(id);
    return record === undefined || (record.expires ?? Infinity) <= clock.now() ? undefined : record;
  }

  return {
    isOne: isMachineToken,
    async verify(text) {
      const token = parseMachineToken(text);
      if (token === undefined) return undefined;
      const record = await standing(token.id);
      if (record === undefined || !timingSafeEqual(hashOf(token.secret), Buffer.from(record.hash, 'hex'))) return undefined;
      noteUse(record.id);
      return { kind: 'token', name: record.name, id: record.id };
    },
    async stands(id) {
      if ((await standing(id)) === undefined) return false;
      noteUse(id);
      return true;
    },
    async create(name, lifetimeMs) {
      const id = Buffer.from(random.bytes(8)).toString('hex');
      const secret = Buffer.from(random.bytes(32)).toString('base64url');
      const created = clock.now();
      const lives = { created, ...(lifetimeMs === undefined ? {} : { expires: created + lifetimeMs }) };
      const outcome = await records.create({ id, name, hash: hashOf(secret).toString('hex'), ...lives });
      return outcome === 'created' ? { name, ...lives, text: formatMachineToken({ id, secret }) } : outcome;
    },
    async list() {
      const all = (await records.all()).map(({ record, used }) => listed(record, used));
      return all.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async revoke(name) {
      const record = await records.drop(name);
      return record && listed(record, undefined);
    },
  };
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function listed({ name, created, expires }: MachineTokenRecord, used: number | undefined): ListedMachineToken {
  return { name, created, ...(expires === undefined ? {} : { expires }), ...(used === undefined ? {} : { used }) };
}
