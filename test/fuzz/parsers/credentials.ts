import { parseHtpasswd, COST_MAX, isHtpasswdUser } from '../../../src/auth/htpasswd-file.ts';
import { costOf, isTellable } from '../../../src/auth/bcrypt.ts';
import { parseCredentials } from '../../../src/auth/identify.ts';
import { formatMachineToken, parseMachineToken } from '../../../src/auth/machine-token-text.ts';
import { readForm, readQuery, type Asked, type FormFault } from '../../../src/auth/token-question.ts';
import type { TokenQuestion } from '../../../src/auth/auth.ts';
import { accountOf } from '../../../src/config/docker-config.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import { CredentialsUnavailable } from '../../../src/upstream/credentials.ts';
import { helperSource } from '../../../src/upstream/credentials/docker-credential.ts';
import { serviceAccountOf } from '../../../src/upstream/credentials/gcp.ts';
import { bytesOf, demand, orRefused, utf8Of, type Parser } from '../parser.ts';

/** Node takes as much of all fields together. */
const LONGEST = 16_384;
const NEVER = new AbortController().signal;
const TOKEN = formatMachineToken({ id: '0123456789abcdef', secret: 'A'.repeat(43) });

const authorization: Parser = {
  name: 'authorization',
  covers: ['parseCredentials', 'parseMachineToken', 'isTellable'],
  words: ['Basic ', 'Bearer ', 'bearer', 'YW5uOnBhc3M=', 'Og==', '=', '  ', 'a.b.c', TOKEN, TOKEN.slice(0, -6), 'entrepot_'],
  longest: LONGEST,
  read(input) {
    const machine = parseMachineToken(input);
    if (machine !== undefined) demand(formatMachineToken(machine) === input, 'a machine token is read as it is written');
    const found = parseCredentials(input);
    if (found === undefined) return `none ${machine === undefined}`;
    if (found.kind === 'bearer') return `bearer ${parseMachineToken(found.token) !== undefined}`;
    demand(!found.username.includes(':'), 'a name ends at the first colon');
    return `basic ${isTellable(found.password)} ${isHtpasswdUser(found.username)}`;
  },
};

/** `GET` or `POST`, the field Authorization, and the question. */
const tokenQuestion: Parser = {
  name: 'token-question',
  covers: ['readQuery', 'readForm'],
  words: [
    'GET\n',
    'POST\n',
    '\n',
    '&',
    '=',
    'scope=',
    'repository:a/b:pull',
    '%20',
    '+',
    'account=',
    'service=',
    'offline_token=true',
    'grant_type=password',
    'grant_type=refresh_token',
    'refresh_token=',
    'username=',
    'password=',
    'access_type=offline',
    '%zz',
  ],
  longest: 65_536,
  read(input) {
    const [method, field = '', ...rest] = input.split('\n');
    const question: TokenQuestion = {
      ...({ host: 'mirror.test', client: '192.0.2.1', requestId: 'r', publicUrl: 'https://mirror.test' } as TokenQuestion),
      ...(field === '' ? {} : { authorization: field }),
      parameters: new URLSearchParams(utf8Of(rest.join('\n'))),
      method: method === 'POST' ? 'POST' : 'GET',
    };
    const read = (): Asked | FormFault => (question.method === 'POST' ? readForm(question) : readQuery(question));
    const outcome = orRefused(read, [RegistryError]);
    if ('refused' in outcome) {
      demand(/refused UNSUPPORTED 400/.test(outcome.refused), 'a question that cannot be read is the client’s fault');
      return outcome.refused;
    }
    const { found } = outcome;
    if (found.kind === 'fault') return found.error;
    return `${found.credentials?.kind} ${Math.min(found.scopes.scopes.length, 3)} ${found.isOffline}`;
  },
};

const BCRYPT = `$2y$10$${'a'.repeat(53)}`;

const htpasswd: Parser = {
  name: 'htpasswd',
  covers: ['parseHtpasswd', 'isHtpasswdUser', 'costOf'],
  words: [
    'ann:',
    `ann:${BCRYPT}`,
    BCRYPT,
    '\n',
    '\r\n',
    '#',
    ':',
    '$apr1$',
    '{SHA}',
    '$2y$31$',
    '$2a$04$',
    '\u00ef\u00bb\u00bf',
  ],
  longest: 512 * 1024,
  read(input) {
    const { users, faults, warnings } = parseHtpasswd(utf8Of(input));
    for (const [user, hash] of users) {
      const cost = costOf(hash) ?? 0;
      demand(cost >= 4 && cost <= COST_MAX, 'whoever is in has a hash that can be checked');
      // It may have come with blanks around it, which are not part of it when it is read.
      demand(user !== '' && !user.includes(':'), 'and a name');
    }
    const said = [...faults, ...warnings].map(({ message }) => message).join('\n');
    demand(!/\$2[aby]\$\d\d\$[./A-Za-z0-9]{10}/.test(said), 'nothing of a hash is told');
    return `${Math.min(users.size, 2)} ${Math.min(faults.length, 2)} ${Math.min(warnings.length, 2)}`;
  },
};

const PREFIXES = ['docker.io', 'ghcr.io/acme/team', 'localhost:5000'];

const dockerConfig: Parser = {
  name: 'docker-config',
  covers: ['accountOf'],
  words: [
    '"auths":',
    '"credHelpers":',
    '"credsStore":',
    '"auth":',
    '"identitytoken":',
    '"registrytoken":',
    '"username":',
    '"password":',
    '"ghcr.io":',
    '"https://index.docker.io/v1/":',
    '"ghcr.io/acme":',
    '"localhost:5000":',
    '"YW5uOnBhc3M="',
    '"desktop"',
    '{',
    '}',
    ',',
    '[',
    ']',
    'null',
    '"../../x"',
  ],
  longest: 64 * 1024,
  read(input) {
    const text = utf8Of(input);
    return PREFIXES.map((prefix) => {
      const found = accountOf(text, prefix);
      if (typeof found === 'string') {
        demand(!text.includes('YW5uOnBhc3M') || !found.includes('YW5uOnBhc3M'), 'what is wrong is said without the contents');
        return found.slice(0, 20);
      }
      if (found.kind === 'helper') demand(/^[\w.-]+$/.test(found.helper), 'a helper is the name of a program');
      return found.kind;
    }).join(', ');
  },
};

const helperAnswer: Parser = {
  name: 'helper-answer',
  covers: ['helperSource', 'serviceAccountOf'],
  words:
    '{ } "Username": "Secret": "ServerURL": "<token>" "a" , "type": "service_account" "client_email": "private_key": "token_uri":'.split(
      ' ',
    ),
  longest: 128 * 1024,
  async read(input) {
    const account = serviceAccountOf(utf8Of(input));
    const run = async () => ({ kind: 'ended', code: 0, output: bytesOf(input) }) as const;
    try {
      const { credentials } = await helperSource({ helper: 'test', server: 'ghcr.io' }, run).get(NEVER);
      return `${credentials.kind} ${typeof account}`;
    } catch (error) {
      if (error instanceof CredentialsUnavailable) return `none ${typeof account}`;
      throw error;
    }
  },
};

export const credentials: readonly Parser[] = [authorization, tokenQuestion, htpasswd, dockerConfig, helperAnswer];
