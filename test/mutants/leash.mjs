// `node leash.mjs SCRIPT ARGUMENT…` runs the script as node would, as the head of a group of processes. Whoever starts it holds its
// standard input: when that ends, since they have ended, however that came, the whole group ends too.
process.stdin.on('close', () => process.kill(-process.pid, 'SIGKILL')).resume();
process.stdin.unref();
process.argv.splice(1, 1);
await import(process.argv[1]);
