import { hashBcrypt, isTellable, PASSWORD_BYTES_MAX } from '../auth/bcrypt.ts';
import { isHtpasswdUser } from '../auth/htpasswd-file.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { CommandFault } from './fault.ts';
import type { LookFlags } from './look.ts';
import { printJson } from './table.ts';

/** Each step doubles the work of whoever guesses, and of our sign-ins: a quarter of a second on a small machine. */
const COST = 12;

/** A line for the file of `auth.htpasswd`, on stdout; the password is asked for, or is what stands on stdin. */
export async function htpasswd(context: CommandContext, user: string, flags: LookFlags): Promise<ExitCode> {
  if (!isHtpasswdUser(user))
    throw new CommandFault('a user has no colon or control character, no # first and no blank first or last', 2);
  const password = await readPassword(context);
  if (password === '') throw new CommandFault('there is no password: type one, or give it on stdin');
  if (!isTellable(password))
    throw new CommandFault(`bcrypt takes at most ${PASSWORD_BYTES_MAX} bytes, without NUL: take a shorter password`);
  const hash = await hashBcrypt(password, COST);
  context.terminal.out(flags.json === true ? printJson({ user, hash }, 2) : `${user}:${hash}\n`);
  return 0;
}

async function readPassword({ keyboard }: CommandContext): Promise<string> {
  if (!keyboard.interactive) return oneLine(await keyboard.readAll(INPUT_BYTES_MAX));
  const password = await keyboard.ask('password: ');
  if (password !== (await keyboard.ask('again: '))) throw new CommandFault('the two are not the same: nothing is printed');
  return password;
}

const INPUT_BYTES_MAX = 4096;

/** The line end that `echo` and editors leave is not part of it. */
function oneLine(text: string): string {
  const line = text.replace(/\r?\n$/, '');
  if (/[\r\n]/.test(line)) throw new CommandFault('stdin has more than one line: give the password alone');
  return line;
}
