// Runs COMMAND when REPOSITORY:TAG is pushed, one after the other, in the order of the pushes. Node alone is needed.
// What it does not accept with 2xx it is told again, before all that was pushed later: so a deployment that failed is tried
// again, but not for ever, since the push that mends it waits behind it.
import { spawn } from 'node:child_process';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const { HOOK_SECRET, REGISTRY, REPOSITORY, TAG = 'latest', COMMAND, HOST = '0.0.0.0', PORT = '8080' } = process.env;
for (const [name, value] of Object.entries({ HOOK_SECRET, REGISTRY, REPOSITORY, COMMAND })) {
  if (!value) throw new Error(`${name} is not set`);
}
const BODY_BYTES_MAX = 1_048_576;
const TRIES_MAX = 3;
const EVENTS_KEPT = 1_000;

/** Event → how often it may still be tried. An event may come twice: one that was done may not. */
const triesLeft = new Map();
let line = Promise.resolve();

createServer((request, response) => {
  const answer = (status, text) => response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
  request.on('error', () => undefined);
  const chunks = [];
  let bytes = 0;
  request.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) request.destroy();
    else chunks.push(chunk);
  });
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    if (request.method !== 'POST' || !isSigned(body, request.headers['x-hub-signature-256'])) return answer(401, 'not signed');
    line = line.then(() => tellAll(body)).then(
      () => answer(204, ''),
      (error) => (console.error(error.message), answer(500, 'failed')),
    );
  });
}).listen(Number(PORT), HOST, function () {
  console.log(`listening on ${this.address().port}`);
});

function isSigned(body, signature = '') {
  const expected = Buffer.from(`sha256=${createHmac('sha256', HOOK_SECRET).update(body).digest('hex')}`);
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

async function tellAll(body) {
  for (const { id, action, target } of JSON.parse(body).events) {
    const tries = triesLeft.get(id) ?? TRIES_MAX;
    if (action !== 'push' || target.repository !== REPOSITORY || target.tag !== TAG || tries === 0) continue;
    triesLeft.set(id, tries - 1);
    if (triesLeft.size > EVENTS_KEPT) triesLeft.delete(triesLeft.keys().next().value);
    await run(`${REGISTRY}/${target.repository}@${target.digest}`);
    triesLeft.set(id, 0);
  }
}

function run(image) {
  console.log(`deploying ${image}`);
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-euc', COMMAND], { env: { ...process.env, HOOK_SECRET: '', IMAGE: image }, stdio: 'inherit' });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`COMMAND ended with ${code}`))));
  });
}

process.on('SIGTERM', () => process.exit(0));
