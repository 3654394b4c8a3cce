/** bcrypt reads no further, so that all passwords that begin alike would be one (reliability.md, S33). */
export const PASSWORD_BYTES_MAX = 72;

/** As `htpasswd -B` (`$2y$`), OpenBSD (`$2b$`) and most libraries (`$2a$`) write it: cost, salt of 22 characters, hash of 31. */
const HASH = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;

/** The cost of a bcrypt hash, 4 to 31: each step doubles the work. `undefined`: it is none. */
export function costOf(text: string): number | undefined {
  const cost = Number(HASH.exec(text)?.[1]);
  return cost >= 4 && cost <= 31 ? cost : undefined;
}

/** Whether bcrypt tells it from all others: it repeats what is short, with a NUL at its end, so that `a` is also `a\0a`. */
export function isTellable(password: string): boolean {
  return !password.includes('\0') && Buffer.byteLength(password) <= PASSWORD_BYTES_MAX;
}

/** In a thread of the pool that disk and DNS share (libuv's four): whoever asks for several at once starves them (S31). */
export type VerifyBcrypt = (password: string, hash: string) => Promise<boolean>;

export const verifyBcrypt: VerifyBcrypt = async (password, stored) =>
  (await library()).verify(Buffer.from(password).subarray(0, PASSWORD_BYTES_MAX), stored);

/** As a line of an htpasswd file has it. */
export const hashBcrypt = async (password: string, cost: number): Promise<string> =>
  (await library()).hash(password, { cost, version: '2y' });

/** Native code, loaded by whoever has passwords. */
const library = () => import('@node-rs/bcrypt');
