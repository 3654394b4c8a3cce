import { CommandFault } from './fault.ts';

/** Commands that the contract names and a later version brings. */
const NOT_BUILT: ReadonlySet<string> = new Set(['release', 'who', 'warm', 'export']);

/**
 * The command line with its command written out. As the official image has it, `registry serve FILE` and a lone `FILE.yml`
 * are accepted; nothing at all, or options alone, is `serve`. Throws CommandFault 2 for what is no command.
 */
export function normalizeArguments(given: readonly string[], commands: readonly string[]): string[] {
  const args = given[0] === 'registry' ? given.slice(1) : [...given];
  const [first] = args;
  if (first === undefined) return ['serve'];
  if (commands.includes(first) || ['help', '-h', '--help'].includes(first)) return args;
  if (first === '-v' || first === '--version') return ['version'];
  if (first.startsWith('-') || /\.(yml|yaml)$/.test(first)) return ['serve', ...args];
  if (NOT_BUILT.has(first)) throw new CommandFault(`${first} is not built yet: this version has ${commands.join(', ')}`, 2);
  throw new CommandFault(`there is no command "${first}": run "entrepot --help" for those that there are`, 2);
}
