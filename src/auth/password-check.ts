import type { Random } from '../system/random.ts';
import { costOf, isTellable, type VerifyBcrypt } from './bcrypt.ts';
import type { Hashing, Line } from './hashing.ts';

/** What a password is compared with. */
export interface StoredPassword {
  /** False: there is no such user, and no password fits. */
  readonly known: boolean;
  /** bcrypt's. */
  readonly hash: string;
  /** The highest in the file: as long as that takes, everything that is wrong takes. */
  readonly costMax: number;
}

/** `proof` stands for user, password and hash: whoever asks for the same while it is hashed waits for that one. */
export type PasswordCheck = (password: string, stored: StoredPassword, proof: string, whose?: Line) => Promise<boolean>;

export function createPasswordCheck(hashing: Hashing): PasswordCheck {
  const running = new Map<string, Promise<boolean>>();
  return (password, stored, proof, whose) => {
    const found = running.get(proof);
    if (found !== undefined) return found;
    const work = hashing.run((verify) => compare(verify, password, stored), whose).finally(() => running.delete(proof));
    running.set(proof, work);
    return work;
  };
}

/** A wrong one takes 2^costMax rounds, whoever it is for and whatever is wrong with it (reliability.md, S32, S33). */
async function compare(verify: VerifyBcrypt, password: string, { known, hash, costMax }: StoredPassword): Promise<boolean> {
  const fits = await verify(password, hash);
  if (fits && known && isTellable(password)) return true;
  // 2^c, and 2^c + 2^(c+1) + … + 2^(costMax-1) more.
  for (let cost = costOf(hash) ?? costMax; cost < costMax; cost++) await verify(password, withCost(hash, cost));
  return false;
}

function withCost(hash: string, cost: number): string {
  return `${hash.slice(0, 4)}${String(cost).padStart(2, '0')}${hash.slice(6)}`;
}

/** A hash that no password has: none was ever hashed for it. */
export function decoyHash(random: Random, cost: number): string {
  const letters = Array.from(random.bytes(53), (byte) => ALPHABET[byte & 63]).join('');
  // The last letters of salt and hash stand for fewer bits than six; `.` and `O` leave the others zero.
  return `$2b$${String(cost).padStart(2, '0')}$${letters.slice(0, 21)}.${letters.slice(22, 52)}O`;
}

const ALPHABET = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
