import type { Mutant } from './mutant.ts';

const ACCESS = ['test/unit/auth/access.test.ts'];
const AUTH = ['test/unit/auth/auth.test.ts'];
const SCENARIO = ['test/scenarios/access.test.ts'];

/** Who may what: every door asks, and nothing that they say tells what is behind it. */
export const mutants = [
  {
    name: 'a later rule adds to the first that matches',
    guards: ['promise 9'],
    file: 'src/auth/access.ts',
    find: 'const first = compiled.find(({ matches }) => matches(holder));',
    replace: 'const first = compiled.find(({ matches, allows }) => matches(holder) && allows[action](subject));',
    test: ACCESS,
  },
  {
    name: 'who is named by no rule may all the same',
    guards: ['promise 9'],
    file: 'src/auth/access.ts',
    find: 'allowed: first?.allows[action](subject) === true',
    replace: 'allowed: first?.allows[action](subject) !== false',
    test: ACCESS,
  },
  {
    name: 'a machine token passes for the user of its name',
    guards: ['promise 9'],
    file: 'src/auth/access.ts',
    find: 'return (subject) => subject.kind === pattern.kind && fits(subject.name);',
    replace: "return (subject) => 'name' in subject && fits(subject.name);",
    test: ACCESS,
  },
  {
    name: 'a claim of another issuer counts',
    guards: ['S35'],
    file: 'src/auth/access.ts',
    find: '        subject.issuer === pattern.issuer &&\n',
    replace: '',
    test: ACCESS,
  },
  {
    name: 'a token is good for more than it was issued for',
    guards: ['S35'],
    file: 'src/auth/permit.ts',
    find: '    scopes === undefined ||\n',
    replace: '    scopes !== null ||\n',
    test: AUTH,
  },
  {
    name: 'a token alone lets its bearer in, whatever the rules say',
    guards: ['promise 9', 'S35'],
    file: 'src/auth/permit.ts',
    find: 'if (!access.decide(identity.subject, action, named.holder).allowed) {',
    replace: 'if (identity.scopes === undefined && !access.decide(identity.subject, action, named.holder).allowed) {',
    test: AUTH,
  },
  {
    name: 'a token outlives the user or the machine token that it was issued to',
    guards: ['S35'],
    file: 'src/auth/identify.ts',
    find: 'proven !== undefined && (await stands(proven.identity.subject, proven.fingerprint, ways))',
    replace: 'proven !== undefined',
    test: AUTH,
  },
  {
    name: 'a token is good at every Host',
    guards: ['S35'],
    file: 'src/auth/identify.ts',
    find: "await own.verify(token, audienceOf(asking.publicUrl) ?? '')",
    replace: "await own.verify(token, 'mirror.test:5000')",
    test: AUTH,
  },
  {
    name: 'what somebody may not have is refused in words of its own',
    guards: ['promise 9'],
    file: 'src/auth/permit.ts',
    find: 'if (!canSignIn) throw noSuchName(named.holder);',
    replace: "if (!canSignIn) throw new RegistryError('DENIED', 'no rule allows it');",
    test: AUTH,
  },
  {
    name: 'a route is answered before anybody is asked who they are',
    guards: ['promise 9', 'S36'],
    file: 'src/http/app.ts',
    find: '      await options.gate.enter(exchange);\n      return answer(exchange, route.access);',
    replace: '      return answer(exchange, route.access);',
    test: SCENARIO,
  },
  {
    name: 'deleting is taken for pushing',
    guards: ['S36'],
    file: 'src/http/app.ts',
    find: 'gate.permit(exchange, access, target.name);',
    replace: "gate.permit(exchange, access === 'delete' ? 'push' : access, target.name);",
    test: SCENARIO,
  },
  {
    name: 'lists show what may not be pulled',
    guards: ['promise 9'],
    file: 'src/http/gate.ts',
    find: '(auth.sees(exchange.identity, holder) ? show(holder) : undefined)',
    replace: 'show(holder)',
    test: SCENARIO,
  },
  {
    name: 'a blob is mounted from a repository that may not be pulled',
    guards: ['promise 9', 'S09'],
    file: 'src/http/app.ts',
    find: ' && options.gate.mayPull(exchange, target.name) ? target.name : undefined;',
    replace: ' ? target.name : undefined;',
    test: SCENARIO,
  },
] as const satisfies readonly Mutant[];
