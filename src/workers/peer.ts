import { RegistryError, type ErrorCode } from '../oci/errors.ts';
import type { Channel } from '../system/worker-processes.ts';

/**
 * What one end of a channel answers, by name: to the parameters that came, and at the primary to the number of the worker that asks.
 * What is thrown is thrown at the other end.
 */
export type Answers = Readonly<Record<string, (...given: never[]) => unknown>>;

/** The other end of a channel. */
export interface Peer {
  /** Rejects with what it threw; with {@link PeerGone} when it has ended. Waits for as long as it lives. */
  ask(call: string, params?: unknown): Promise<unknown>;
  /** Wants no answer; nothing happens where it has ended. */
  tell(call: string, params?: unknown): void;
}

/** The process at the other end has ended, and nothing is known of what it did. */
export class PeerGone extends Error {
  override readonly name = 'PeerGone';
}

type Message =
  | { readonly kind: 'ask'; readonly id: number; readonly call: string; readonly params: unknown }
  | { readonly kind: 'tell'; readonly call: string; readonly params: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: Failure };

/** An error as it passes through a channel: what a client or a person is told of it. */
interface Failure {
  readonly message: string;
  readonly registry?: { readonly code: ErrorCode; readonly status: number; readonly headers: Readonly<Record<string, string>> };
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Calls in both directions over one channel, any number at a time. */
export function createPeer(channel: Channel, answers: Answers): Peer {
  const waiting = new Map<number, Waiting>();
  let last = 0;
  let gone = false;

  async function answer(id: number, call: string, params: unknown): Promise<void> {
    try {
      channel.send({ kind: 'answer', id, value: await perform(answers, call, params) } satisfies Message);
    } catch (error) {
      channel.send({ kind: 'failure', id, failure: toFailure(error) } satisfies Message);
    }
  }

  function settle(id: number, how: (one: Waiting) => void): void {
    const one = waiting.get(id);
    waiting.delete(id);
    if (one !== undefined) how(one);
  }

  channel.onMessage((received) => {
    const message = received as Message;
    switch (message.kind) {
      case 'ask':
        return void answer(message.id, message.call, message.params);
      case 'tell':
        // Whoever tells does not want to know.
        return void Promise.resolve(perform(answers, message.call, message.params)).catch(() => undefined);
      case 'answer':
        return settle(message.id, ({ resolve }) => resolve(message.value));
      case 'failure':
        return settle(message.id, ({ reject }) => reject(fromFailure(message.failure)));
      default:
        return undefined; // Another library's.
    }
  });
  channel.onGone(() => {
    gone = true;
    for (const id of waiting.keys()) settle(id, ({ reject }) => reject(new PeerGone('the other process has ended')));
  });

  return {
    ask(call, params) {
      if (gone) return Promise.reject(new PeerGone('the other process has ended'));
      return new Promise((resolve, reject) => {
        last += 1;
        waiting.set(last, { resolve, reject });
        channel.send({ kind: 'ask', id: last, call, params } satisfies Message);
      });
    },
    tell: (call, params) => channel.send({ kind: 'tell', call, params } satisfies Message),
  };
}

async function perform(answers: Answers, call: string, params: unknown): Promise<unknown> {
  const act = answers[call];
  if (act === undefined) throw new Error(`nobody answers to "${call}"`);
  return (act as (params: unknown) => unknown)(params);
}

function toFailure(error: unknown): Failure {
  if (!(error instanceof RegistryError)) return { message: error instanceof Error ? error.message : String(error) };
  const { message, code, status, headers } = error;
  return { message, registry: { code, status, headers } };
}

function fromFailure({ message, registry }: Failure): Error {
  return registry === undefined ? new Error(message) : new RegistryError(registry.code, message, registry);
}
