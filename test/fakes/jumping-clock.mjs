// Loaded before the program: each SIGUSR2 puts its monotonic clock JUMP_MS ahead. Timers and the wall clock stay.
const real = performance.now.bind(performance);
let ahead = 0;
performance.now = () => real() + ahead;
process.on('SIGUSR2', () => {
  ahead += Number(process.env.JUMP_MS);
});
