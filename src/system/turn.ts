/** Lets everybody else go on first: for long work that waits for nothing by itself, such as reads of an embedded store. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Calls back when all has been looked at that has arrived until now. */
export function soon(work: () => void): void {
  setImmediate(work);
}
