/**
 * So many pieces of bodies begin in one turn of the event loop; who comes later waits, in order. A turn lets in one new connection
 * (libuv since 1.46), so that with a thousand bodies under way, each of which goes on in every turn, turns of a tenth of a second let
 * in ten clients a second: the others wait half a minute for their first byte. It costs nothing else, since pieces that wait would
 * wait for the processor anyway.
 */
export interface Turns {
  /** `undefined`: now. Otherwise it resolves when those who came before have begun. */
  take(): Promise<void> | undefined;
}

/** About half a millisecond of small pieces, a few of large ones. */
export const PIECES_A_TURN = 8;

/** `soon` calls back in the next turn. */
export function createTurns(soon: (work: () => void) => void): Turns {
  const waiting: (() => void)[] = [];
  let begun = 0;
  let isCounting = false;

  function turn(): void {
    const next = waiting.splice(0, PIECES_A_TURN);
    begun = next.length;
    isCounting = begun > 0;
    if (isCounting) soon(turn);
    for (const begin of next) begin();
  }

  return {
    take() {
      if (!isCounting) soon(turn);
      isCounting = true;
      if (begun === PIECES_A_TURN) return new Promise((resolve) => void waiting.push(resolve));
      begun += 1;
      return undefined;
    },
  };
}
