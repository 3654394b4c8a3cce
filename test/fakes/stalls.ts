/** How often it is looked; what is up to twice as late is nothing. */
const EVERY_MS = 10;

/**
 * Watches how long this process stood still, because the machine, or something in it, did other things: a limit of time is
 * broken only by what took longer than that too.
 */
export function watchStalls(): { ms(): number; stop(): void } {
  let [stalledMs, last] = [0, performance.now()];
  const look = (): void => {
    const now = performance.now();
    const late = now - last - EVERY_MS;
    if (late > EVERY_MS) stalledMs += late;
    last = now;
  };
  const timer = setInterval(look, EVERY_MS);
  timer.unref();
  return {
    ms() {
      look();
      return stalledMs;
    },
    stop: () => clearInterval(timer),
  };
}
