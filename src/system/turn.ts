/** Lets everybody else go on first: for long work that waits for nothing by itself, such as reads of an embedded store. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
