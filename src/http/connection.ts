import type { Outgoing } from './outgoing.ts';
import type { Heard } from './tap.ts';

/** Every connection owns one buffer of this size, made when its first body leaves. */
export const OWN_BYTES = 16 * 1024;

/** With so many requests waiting for their turn the socket is no longer read; with so many it is cut. */
const WAITING_PAUSE = 32;
const WAITING_MAX = 1000;

/** What a {@link Connection} is about: a socket of HTTP/1, a session of HTTP/2, or one stream of it. */
export interface Wire {
  readonly destroyed: boolean;
  once(event: 'close', listener: () => void): unknown;
  pause(): unknown;
  resume(): unknown;
  /** Ends our side; what the client sends is read on. */
  end(): unknown;
  /** Ends it when all that was written has left. */
  destroySoon(): unknown;
  destroy(): unknown;
  /** Bytes of the running write that were not taken yet: what a client that stops leaves as it is. */
  readonly writableLength: number;
}

/** Node's, below a socket. */
interface Handle {
  readonly writeQueueSize?: number;
  readonly _parent?: Handle;
}

/**
 * What one client connection holds, beside Node's socket: its buffer, and who wants to know of its end. One listener on the
 * socket serves all requests of the connection: a listener each would be a leak under pipelining (MaxListenersExceeded).
 */
export class Connection {
  readonly wire: Wire;
  /** The common name of the client's certificate, where it is to be believed. */
  readonly certificate: string | undefined;
  /** Requests received and not yet ended. */
  live = 0;
  /** No further request is wanted: answers say `Connection: close`. */
  closing = false;
  /** What Node's parser is reading now, where that is one whole request (tap.ts). */
  heard: Heard | undefined;
  /** Writes an answer that waits for the end of the turn (repeated-answer.ts). It comes before whatever else is read or written. */
  due: (() => void) | undefined;
  /** A request of it was answered: its peer is heard, and Node's limits for a first request are behind it. */
  #served = false;
  readonly #onGone = new Set<() => void>();
  #gone = false;
  #buffer: Buffer | undefined;

  constructor(wire: Wire, certificate?: string) {
    this.wire = wire;
    this.certificate = certificate;
    wire.once('close', () => this.#leave());
    if (wire.destroyed) this.#leave();
  }

  /** Nothing is read, answered or written on it now, and it goes on. */
  get isResting(): boolean {
    return this.#served && this.live === 0 && !this.closing && this.wire.writableLength === 0 && !this.gone;
  }

  get gone(): boolean {
    // It is destroyed a moment before it says so.
    return this.#gone || this.wire.destroyed;
  }

  /** Made on first use. One answer at a time may use it, since one at a time owns the socket. */
  get buffer(): Buffer {
    this.#buffer ??= Buffer.allocUnsafeSlow(OWN_BYTES);
    return this.#buffer;
  }

  get bufferBytes(): number {
    return this.#buffer?.byteLength ?? 0;
  }

  /**
   * What libuv still holds of the running write, which shrinks with every byte that the kernel takes. Under TLS that is
   * the queue of the socket below; its own keeps all of a write until the last byte of it was taken.
   */
  unsent(): number {
    const { _handle: handle } = this.wire as { readonly _handle?: Handle };
    return handle?.writeQueueSize === undefined
      ? this.wire.writableLength
      : handle.writeQueueSize + (handle._parent?.writeQueueSize ?? 0);
  }

  /** After a failure the buffer may still be written or read by a call under way: it is never used again. */
  dropBuffer(): void {
    this.#buffer = undefined;
  }

  /**
   * Calls back once when the socket closes, at once if it has. The socket's close, not the response's: a pipelined
   * response that never owned the socket hears nothing of its end.
   */
  onGone(callback: () => void): () => void {
    if (this.#gone) callback();
    else this.#onGone.add(callback);
    return () => void this.#onGone.delete(callback);
  }

  /** A request came. False: too many are waiting, and the connection was cut. */
  enter(): boolean {
    this.live += 1;
    if (this.live > WAITING_MAX) this.wire.destroy();
    else if (this.live > WAITING_PAUSE) this.wire.pause();
    return this.live <= WAITING_MAX;
  }

  /** A request ended. */
  leave(): void {
    this.live -= 1;
    this.#served = true;
    if (this.live === WAITING_PAUSE / 2) this.wire.resume();
    // The answer was begun before anybody wished the connection closed, so that it could not say so itself.
    if (this.live === 0 && this.closing) this.wire.destroySoon();
  }

  #leave(): void {
    this.#gone = true;
    const callbacks = [...this.#onGone];
    this.#onGone.clear();
    for (const callback of callbacks) callback();
  }
}

/**
 * Calls back once the response owns its socket, that is, when all answers before it on the connection have left; at once
 * if it does; never if the connection ends first. So pipelined requests hold nothing but themselves.
 */
export function onTurn(outgoing: Pick<Outgoing, 'once' | 'socket'>, callback: () => void): void {
  if (outgoing.socket !== null) callback();
  else outgoing.once('socket', callback);
}
