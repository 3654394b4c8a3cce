import { own, readJsonObject } from '../../oci/json.ts';
import type { RunProgram } from '../../system/run-program.ts';
import { CredentialsUnavailable, type Credentials } from '../credentials.ts';
import type { Source } from './kept.ts';

export interface HelperOptions {
  /** `docker-credential-NAME` is run. */
  readonly helper: string;
  /** As docker asks: a host, or `https://index.docker.io/v1/`. */
  readonly server: string;
}

/** Helpers keep what they got in their own ways; this saves a process a pull. */
const LIFETIME_MS = 5 * 60_000;
const OUTPUT_BYTES_MAX = 128 * 1024;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** What docker-credential-helpers says of a server that it does not know; docker goes by these words too. */
const UNKNOWN = /^credentials not found in native keychain\s*$/;

/** docker's protocol of credential helpers: `get`, the server on its input, JSON on its output. */
export function helperSource({ helper, server }: HelperOptions, run: RunProgram): Source {
  const program = { name: `docker-credential-${helper}`, args: ['get'], input: server, outputBytesMax: OUTPUT_BYTES_MAX };
  const fault = (what: string, refused = false): CredentialsUnavailable =>
    new CredentialsUnavailable(`the credential helper ${program.name} ${what}`, { refused });
  return {
    inputs: async () => '',
    async get(signal) {
      if (!NAME.test(helper)) throw new CredentialsUnavailable('that is no name of a credential helper', { refused: true });
      const result = await run(program, signal).catch((error: unknown) => {
        if (signal.aborted) throw fault('did not answer in time');
        throw fault(`cannot be run (${codeOf(error)})`);
      });
      if (result.kind === 'too much output') throw fault('wrote too much');
      if (result.code !== 0) {
        const isUnknown = UNKNOWN.test(Buffer.from(result.output).toString('utf8').slice(0, 200));
        throw isUnknown ? fault(`has none for ${server}`, true) : fault(`failed with exit code ${result.code}`);
      }
      const credentials = read(result.output);
      if (credentials === undefined) throw fault('wrote something else than credentials');
      return { credentials, lifetimeMs: LIFETIME_MS };
    },
  };
}

/** `<token>` for a user name says that the secret is an identity token. */
function read(output: Uint8Array): Credentials | undefined {
  const parsed = readJsonObject(output);
  if (parsed.kind === 'fault') return undefined;
  const username = own(parsed.value, 'Username');
  const secret = own(parsed.value, 'Secret');
  if (typeof username !== 'string' || typeof secret !== 'string' || secret === '') return undefined;
  return username === '<token>'
    ? { kind: 'identity', username, token: secret }
    : { kind: 'password', username, password: secret };
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'unknown';
}
