import { expect, test } from 'vitest';
import { Blame } from '../../../src/pull/fill/sources.ts';
import { throughContent } from '../../../src/pull/through.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createScriptedPort } from '../../fakes/scripted-port.ts';
import { settle } from './house.ts';

test('an answer that comes as its reader is closed is closed as well', async () => {
  const clock = createFakeClock();
  const blob = randomBlob(9000);
  const hub = createScriptedPort('hub', (_, at) => ({ bytes: blob.bytes, ...(at === 0 ? { breakAfter: 1000 } : {}) }));
  let close = (): void => undefined;
  const closing: Upstream = {
    ...hub,
    async ask(...asked) {
      const answer = await hub.ask(...asked);
      close();
      return answer;
    },
  };
  const source = { clock, report: () => undefined, blame: new Blame(clock), chain: [closing], size: blob.bytes.byteLength };
  const content = throughContent({ ...source, registry: 'docker.io', repository: 'a/b', digest: blob.digest });
  const reader = await content.open(0, undefined, new AbortController().signal);
  close = () => reader.close();
  await expect(reader.read(new Uint8Array(9000))).rejects.toThrow('the reader is closed');
  await settle();
  expect(hub.asked).toHaveLength(2);
  expect(hub.openBodies()).toBe(0);
  expect(clock.pending()).toBe(0);
});
