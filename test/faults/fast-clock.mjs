// Loaded before the program: the wall clock runs FAST_CLOCK times as fast as it should, from FAST_CLOCK_SINCE on, so that an
// hour's grace passes within seconds, and goes on where it was after a restart, or FAST_CLOCK_AHEAD milliseconds later. Timers
// and the monotonic clock stay.
const real = Date.now;
const since = Number(process.env.FAST_CLOCK_SINCE);
const speed = Number(process.env.FAST_CLOCK);
const ahead = Number(process.env.FAST_CLOCK_AHEAD ?? 0);
Date.now = () => Math.round(since + (real() - since) * speed + ahead);
