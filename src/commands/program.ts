import { Command, CommanderError } from 'commander';
import { normalizeArguments } from './arguments.ts';
import type { BackupFlags } from './backup.ts';
import type { EvictFlags } from './cache.ts';
import type { CheckFlags } from './check.ts';
import type { ClientFlags } from './client.ts';
import type { CollectFlags } from './collect.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { ImportFlags } from './import.ts';
import { CommandFault, exitOf, faultText } from './fault.ts';
import type { LookFlags } from './look.ts';
import type { ScrubFlags } from './scrub.ts';
import { printJson } from './table.ts';
import type { TokenFlags } from './token.ts';

/** Runs one command line (without node and script) and yields its exit code. Never rejects. */
export async function run(given: readonly string[], context: CommandContext): Promise<ExitCode> {
  let exit: ExitCode = 0;
  const program = createProgram(context, async (running) => {
    exit = await running;
  });
  try {
    const names = program.commands.map((command) => command.name());
    await program.parseAsync(normalizeArguments(given, names), { from: 'user' });
    return exit;
  } catch (error) {
    // Commander has said on stderr what is wrong; help that was asked for is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    context.terminal.err(`${faultText(error)}\n`);
    return exitOf(error);
  }
}

type Finish = (running: Promise<ExitCode>) => Promise<void>;

function createProgram(context: CommandContext, finish: Finish): Command {
  const program = new Command('entrepot')
    .description('A pull-through caching mirror for OCI and Docker images.')
    .exitOverride()
    .configureOutput({ writeOut: context.terminal.out, writeErr: context.terminal.err, outputError: oneLine })
    .addHelpText('after', HELP_AFTER);
  addServing(program, context, finish);
  addLooking(program, context, finish);
  addCredentials(program, context, finish);
  addOther(program, context, finish);
  return program;
}

const HELP_AFTER = `
Without a command it serves. CONFIG is the argument, $ENTREPOT_CONFIG, $REGISTRY_CONFIGURATION_PATH,
/etc/entrepot/config.yml, ./config.yml, /etc/distribution/config.yml or /etc/docker/registry/config.yml.`;

/** Commander ends its errors with a hint on a second line: one line says both. */
function oneLine(text: string, write: (text: string) => void): void {
  write(
    `${text
      .trim()
      .replace(/^error: /, '')
      .replace(/\.$/, '')
      .replaceAll(/\s*\n\s*/g, ' ')}: see --help\n`,
  );
}

/** A command, and what it needs, is loaded when it is called. */
const load = {
  backup: () => import('./backup.ts'),
  cache: () => import('./cache.ts'),
  check: () => import('./check.ts'),
  client: () => import('./client.ts'),
  collect: () => import('./collect.ts'),
  control: () => import('./control.ts'),
  htpasswd: () => import('./htpasswd.ts'),
  import: () => import('./import.ts'),
  look: () => import('./look.ts'),
  restore: () => import('./restore.ts'),
  scrub: () => import('./scrub.ts'),
  serve: () => import('./serve.ts'),
  token: () => import('./token.ts'),
} as const;

const CONFIG = ['--config <file>', 'the configuration'] as const;
const JSON_FLAG = ['--json', 'print JSON'] as const;

function addServing(program: Command, context: CommandContext, finish: Finish): void {
  program
    .command('serve')
    .description('serve (the default)')
    .argument('[config]', 'the configuration')
    .option(...CONFIG)
    .action(async (config: string | undefined, flags: LookFlags) =>
      finish((await load.serve()).serve(context, config ?? flags.config)),
    );
  program
    .command('check')
    .description('print the configuration as understood, and prove each upstream')
    .argument('[words...]', 'the configuration; with --as ACTION NAME behind it')
    .usage('[options] [config] | --as SUBJECT [config] ACTION NAME')
    .option(...CONFIG)
    .option('--offline', 'ask no upstream')
    .option('--schema', 'print the JSON Schema of the configuration')
    .option('--as <subject>', 'explain whether somebody may: user:NAME, token:NAME, oidc:ISSUER:CLAIM=VALUE, signed-in, anyone')
    .option(...JSON_FLAG)
    .action(async (words: string[], flags: CheckFlags & LookFlags) =>
      finish((await load.check()).check(context, words, flags)),
    );
}

function addLooking(program: Command, context: CommandContext, finish: Finish): void {
  looking(program, 'status', 'one screen of how the running server does').action(async (flags: LookFlags) =>
    finish((await load.look()).status(context, flags)),
  );
  looking(program, 'explain', "how an image's name resolves, and what is held of it")
    .argument('<image>')
    .option('--as <subject>', 'whether somebody may pull it: user:NAME, token:NAME, oidc:ISSUER:CLAIM=VALUE, signed-in, anyone')
    .action(async (image: string, flags: LookFlags & { readonly as?: string }) =>
      finish((await load.look()).explain(context, image, flags)),
    );
  looking(program, 'ls', 'what is held')
    .argument('[pattern]', 'an image, or a pattern with *')
    .action(async (pattern: string | undefined, flags: LookFlags) => finish((await load.look()).ls(context, pattern, flags)));
  looking(program, 'evict', 'drop what is cached under a name, so that the next pull is fresh')
    .argument('[pattern]', 'an image, a repository, or a pattern with *; without one what would go next (--dry-run)')
    .option('-d, --dry-run', 'only tell what would go, and why')
    .action(async (pattern: string | undefined, flags: EvictFlags) =>
      finish((await load.cache()).evict(context, pattern, flags)),
    );
  looking(program, 'pin', 'never evict these images')
    .argument('<pattern>', 'an image, a repository, or a pattern with *')
    .action(async (pattern: string, flags: LookFlags) => finish((await load.cache()).pin(context, pattern, flags)));
  looking(program, 'unpin', 'take a pin back')
    .argument('<pattern>', 'as it was pinned')
    .action(async (pattern: string, flags: LookFlags) => finish((await load.cache()).unpin(context, pattern, flags)));
  looking(program, 'refresh', 'ask upstream now what a tag points to')
    .argument('<image>')
    .action(async (image: string, flags: LookFlags) => finish((await load.look()).refresh(context, image, flags)));
  looking(program, 'release', 'end the cooldown of what a tag points to now, and ask anew whether it may be let in')
    .argument('<image>')
    .action(async (image: string, flags: LookFlags) => finish((await load.look()).release(context, image, flags)));
  looking(program, 'disown', 'drop what was pushed to a repository and give its name back to its chain')
    .argument('<repository>')
    .action(async (repository: string, flags: LookFlags) => finish((await load.look()).disown(context, repository, flags)));
  looking(program, 'collect', 'remove what was pushed and nothing needs any more')
    .option('-d, --dry-run', 'only tell what would go')
    .option('-m, --delete-untagged', 'manifests without a tag go too')
    .action(async (flags: CollectFlags) => finish((await load.collect()).collect(context, flags)));
  looking(program, 'garbage-collect', 'the same, as the official image has it')
    .argument('[config]', 'the configuration')
    .option('-d, --dry-run', 'only tell what would go')
    .option('-m, --delete-untagged', 'manifests without a tag go too')
    .option('-q, --quiet', 'print nothing')
    .action(async (config: string | undefined, { config: named, ...flags }: CollectFlags) => {
      const file = config ?? named;
      return finish((await load.collect()).collect(context, file === undefined ? flags : { ...flags, config: file }));
    });
  looking(program, 'scrub', 'read all that is held through, and find what is damaged')
    .option('--repair', 'move damaged files away, and fetch them again')
    .action(async (flags: ScrubFlags) => finish((await load.scrub()).scrub(context, flags)));
  looking(program, 'import', 'take over the data of an official registry')
    .option('--from-registry <directory>', 'its root directory, as the running server sees it; nothing there is changed')
    .option('--as <registry>', 'whose repositories they are, where routes say so: docker.io, registry.acme.test')
    .option('--hosted', 'they count as pushed here, and not as cached')
    .option('-d, --dry-run', 'only tell what would be taken; nothing is verified')
    .addHelpText(
      'after',
      '\nExit 1 where something could not be taken: it is named, and everything else is taken. Run again, it goes on.',
    )
    .action(async (flags: ImportFlags) => finish((await load.import()).importFrom(context, flags)));
  looking(program, 'backup', 'copy what is hosted, and all metadata, while everything goes on')
    .argument('<directory>', 'new, or an earlier backup, to which is added; as the running server sees it')
    .option('--with-cache', 'cached content too')
    .addHelpText('after', '\nExit 1 where hosted content was lost before: it is named, and everything else is in the backup.')
    .action(async (directory: string, flags: BackupFlags) => finish((await load.backup()).backup(context, directory, flags)));
  looking(program, 'restore', 'make an empty root directory what a backup was made of, and prove it')
    .argument('<directory>', 'the backup')
    .addHelpText(
      'after',
      '\nExit 1 where hosted content is damaged in the backup: it is named, and everything else is restored.',
    )
    .action(async (directory: string, flags: LookFlags) => finish((await load.restore()).restore(context, directory, flags)));
  looking(program, 'clients', 'which clients came within the last hour').action(async (flags: LookFlags) =>
    finish((await load.look()).clients(context, flags)),
  );
  program
    .command('tail')
    .description('one readable line a request, until stopped')
    .option(...CONFIG)
    .action(async (flags: LookFlags) => finish((await load.look()).tail(context, flags)));
}

function addCredentials(program: Command, context: CommandContext, finish: Finish): void {
  const token = program.command('token').description('tokens with which machines sign in: create, list, revoke');
  token.allowExcessArguments().action(() => {
    throw new CommandFault(`say what: token ${token.commands.map((one) => one.name()).join(', token ')}: see --help`, 2);
  });
  looking(token, 'create', 'make a token, and print it once')
    .argument('<name>', 'what it is for: ci-build')
    .option('--expires <duration>', 'how long it lives, such as 90d; without it until it is revoked')
    .action(async (name: string, flags: TokenFlags) => finish((await load.token()).createToken(context, name, flags)));
  looking(token, 'list', 'which there are, and when each was last used').action(async (flags: LookFlags) =>
    finish((await load.token()).listTokens(context, flags)),
  );
  looking(token, 'revoke', 'refuse it from now on')
    .argument('<name>')
    .action(async (name: string, flags: LookFlags) => finish((await load.token()).revokeToken(context, name, flags)));
  looking(program, 'htpasswd', 'print the line of a user for the file of auth.htpasswd')
    .argument('<user>')
    .addHelpText('after', '\nThe password is asked for, or is what stands on stdin: never an argument, which others see.')
    .action(async (user: string, flags: LookFlags) => finish((await load.htpasswd()).htpasswd(context, user, flags)));
}

function looking(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option(...CONFIG)
    .option(...JSON_FLAG);
}

function addOther(program: Command, context: CommandContext, finish: Finish): void {
  looking(program, 'client', "print a client's own configuration for this mirror")
    .argument('<kind>', 'docker, containerd, podman, buildkit, k3s or crio')
    .option('--url <url>', 'the address by which clients reach this mirror')
    .option('--only', 'without falling back to the registry itself')
    .action(async (kind: string, flags: ClientFlags) => finish((await load.client()).client(context, kind, flags)));
  looking(program, 'reload', 'make the running server read its configuration again').action(async (flags: LookFlags) =>
    finish((await load.control()).reload(context, flags)),
  );
  looking(program, 'health', 'exit 0 where the running server answers pulls').action(async (flags: LookFlags) =>
    finish((await load.control()).health(context, flags)),
  );
  program
    .command('version')
    .description('print the version')
    .option(...CONFIG)
    .option(...JSON_FLAG)
    .action(({ json }: LookFlags) => finish(version(context, json === true)));
}

function version(context: CommandContext, json: boolean): Promise<ExitCode> {
  context.terminal.out(json ? printJson({ version: context.version, node: process.version }, 2) : `${context.version}\n`);
  return Promise.resolve(0);
}
