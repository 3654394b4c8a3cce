import { createHash } from 'node:crypto';
import type { RefreshTokens as RefreshTokenRecords } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import { parseSubject } from './subject-text.ts';
import { subjectText, type Subject } from './subject.ts';
import type { RefreshTokens } from './ways.ts';

export interface RefreshTokensOptions {
  readonly records: RefreshTokenRecords;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether somebody still is who they were: {@link import('./identify.ts').stands}. Rejects where that cannot be told. */
  readonly stands: (subject: Subject, fingerprint: string | undefined) => Promise<boolean>;
  /** Of who does not: whether there is nobody of that name now, and not another one, or the same with another password. */
  readonly isMissing: (subject: Subject) => boolean;
}

const UNUSED_MS_MAX = 90 * 24 * 3600 * 1000;
/** Of one subject: a job that signs in each time leaves one each time, and those go first that nobody comes back with. */
const COUNT_MAX = 200;
/** Uses are noted no more often. */
const USE_NOTED_MS = 10 * 60_000;

/** Random, and kept by hash alone. Not replaced as it is used: docker keeps the one that it got as it signed in. */
export function createRefreshTokens({ records, clock, random, stands, isMissing }: RefreshTokensOptions): RefreshTokens {
  return {
    isOne: (text) => SHAPE.test(text),
    async issue({ subject, fingerprint, audience }) {
      const owner = ownerOf(subject);
      const text = `entrepot-refresh-${owner}-${Buffer.from(random.bytes(SECRET_BYTES)).toString('base64url')}`;
      const now = clock.now();
      const record = {
        subject: JSON.stringify(subject),
        ...(fingerprint === undefined ? {} : { fingerprint }),
        audience,
        created: now,
        used: now,
      };
      await records.put(owner, hashOf(text), record, { since: now - UNUSED_MS_MAX, max: COUNT_MAX });
      return text;
    },
    async verify(text, audience) {
      const [, owner] = SHAPE.exec(text) ?? [];
      if (owner === undefined) return undefined;
      const hash = hashOf(text);
      const record = await records.get(owner, hash);
      const subject = record && parseSubject(record.subject);
      if (record === undefined || subject === undefined || record.audience !== audience) return undefined;
      const { fingerprint, used } = record;
      const isOld = used < clock.now() - UNUSED_MS_MAX;
      if (isOld || !(await stands(subject, fingerprint))) {
        // A file of users that is being written anew, or is wrong for a moment, would sign all of them out for good.
        if (isOld || !isMissing(subject)) await records.drop(owner, hash);
        return undefined;
      }
      // Who cannot note it may go on all the same: it is only forgotten the sooner.
      if (used < clock.now() - USE_NOTED_MS) await records.use(owner, hash, clock.now()).catch(() => undefined);
      return { subject, fingerprint };
    },
  };
}

const SECRET_BYTES = 32;
/** Whose it is stands in it, so that all of a subject's are in one place: there they are counted. */
const SHAPE = /^entrepot-refresh-([0-9a-f]{32})-[A-Za-z0-9_-]{43}$/;

function ownerOf(subject: Subject): string {
  // A machine token's name may be given again, to another.
  const text = subject.kind === 'token' ? `token:${subject.id}` : subjectText(subject);
  return hashOf(text).slice(0, 32);
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
