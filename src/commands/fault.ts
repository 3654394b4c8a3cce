import { ConfigError } from '../config/fault.ts';
import { messageOf, redactText } from '../observe/redact.ts';
import { RegistryError } from '../oci/errors.ts';
import type { ExitCode } from './context.ts';

/** What ends a command: one line for stderr that says what to do, and the exit code. */
export class CommandFault extends Error {
  override readonly name = 'CommandFault';
  readonly exit: ExitCode;

  constructor(message: string, exit: ExitCode = 1, options: { cause?: unknown } = {}) {
    super(message, options);
    this.exit = exit;
  }
}

/** What is printed of whatever a command threw, one line a fault, without secrets. */
export function faultText(error: unknown): string {
  if (error instanceof ConfigError) return redactText(error.message);
  const said = error instanceof CommandFault || error instanceof RegistryError;
  const text = said ? error.message : messageOf(error);
  return redactText(text).replaceAll(/\s*\n\s*/g, ' ');
}

export function exitOf(error: unknown): ExitCode {
  return error instanceof CommandFault ? error.exit : 1;
}
