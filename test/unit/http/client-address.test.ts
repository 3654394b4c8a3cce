import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createClientAddresses } from '../../../src/http/client-address.ts';

const TRUSTED = ['10.0.0.0/8', '127.0.0.1', 'fd00::/8', '::ffff:192.168.0.0/112'];

function clientOf(peer: string | undefined, ...lines: string[]): string {
  const rawHeaders = lines.flatMap((line) => ['X-Forwarded-For', line]);
  const incoming = { socket: { remoteAddress: peer }, rawHeaders } as unknown as IncomingMessage;
  return createClientAddresses(TRUSTED).clientOf(incoming);
}

describe('[S30] the client address', () => {
  test.each<[string, string | undefined, string[], string]>([
    ['no proxy', '203.0.113.1', [], '203.0.113.1'],
    ['an untrusted peer is not believed', '203.0.113.1', ['1.1.1.1'], '203.0.113.1'],
    ['a trusted peer is', '10.0.0.1', ['1.1.1.1'], '1.1.1.1'],
    ['a trusted peer that says nothing', '10.0.0.1', [], '10.0.0.1'],
    ["the leftmost may be anybody's [GHSA-8jm4-4x6c-6787]", '10.0.0.1', ['6.6.6.6, 1.1.1.1'], '1.1.1.1'],
    ['trusted hops are passed over', '10.0.0.1', ['6.6.6.6, 1.1.1.1, 10.9.9.9'], '1.1.1.1'],
    ['two lines are one list', '10.0.0.1', ['6.6.6.6', '1.1.1.1, 10.2.2.2'], '1.1.1.1'],
    ['two lines, the client in the first', '10.0.0.1', ['6.6.6.6, 1.1.1.1', '10.2.2.2'], '1.1.1.1'],
    ['all trusted: the farthest', '10.0.0.1', ['10.0.0.3, 10.0.0.2'], '10.0.0.3'],
    ['a mapped peer', '::ffff:10.0.0.1', ['1.1.1.1'], '1.1.1.1'],
    ['a mapped client', '10.0.0.1', ['::ffff:1.1.1.1'], '1.1.1.1'],
    ['a mapped trusted hop', '10.0.0.1', ['1.1.1.1, ::ffff:10.1.1.1'], '1.1.1.1'],
    ['a mapped range', '::ffff:192.168.7.7', ['1.1.1.1'], '1.1.1.1'],
    ['a hop with a port', '10.0.0.1', ['1.1.1.1:4711'], '1.1.1.1'],
    ['IPv6 with a port', '10.0.0.1', ['[2001:db8::1]:443'], '2001:db8::1'],
    ['IPv6 in another spelling [CVE-2026-47674]', 'fd00:0:0::1', ['2001:0db8:0::0001'], '2001:db8::1'],
    ['no address at all', '10.0.0.1', ['unknown'], '10.0.0.1'],
    ['a name behind a trusted hop', '10.0.0.1', ['evil, 10.0.0.5'], '10.0.0.5'],
    ['octal is no spelling of ours [CVE-2026-24398]', '10.0.0.1', ['0303.0.0.1'], '10.0.0.1'],
    ['one number is none either', '10.0.0.1', ['167772161'], '10.0.0.1'],
    ['an empty list', '10.0.0.1', [''], '10.0.0.1'],
    ['a unix socket without a word', undefined, [], 'unix'],
    ['a unix socket is believed', undefined, ['1.1.1.1'], '1.1.1.1'],
  ])('%s', (_, peer, lines, expected) => {
    expect(clientOf(peer, ...lines)).toBe(expected);
  });

  test('what is no range is refused by its text', () => {
    for (const entry of ['10.0.0.0/33', 'proxy.test', '10.0.0', '']) {
      expect(() => createClientAddresses([entry])).toThrow(`"${entry}"`);
    }
  });
});
