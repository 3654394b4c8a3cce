// So many clients at once on one address, in a process of their own: node blob-clients.mjs URL COUNT
// Prints [{"status","digest","bytes","firstByteAt"}], epoch milliseconds.
import { createHash } from 'node:crypto';
import { Agent, get } from 'node:http';

const [url, count] = [process.argv[2], Number(process.argv[3])];
const agent = new Agent({ keepAlive: false, maxSockets: Infinity });

const replies = await Promise.all(Array.from({ length: count }, ask));
process.stdout.write(`${JSON.stringify(replies)}\n`);

function ask() {
  return new Promise((resolve) => {
    const hash = createHash('sha256');
    let bytes = 0;
    let firstByteAt;
    const end = (status, error) => resolve({ status, error, digest: `sha256:${hash.digest('hex')}`, bytes, firstByteAt });
    get(url, { agent }, (response) => {
      response.on('data', (piece) => {
        firstByteAt ??= Date.now();
        bytes += piece.length;
        hash.update(piece);
      });
      response.once('end', () => end(response.statusCode));
      response.once('error', (error) => end(response.statusCode, error.message));
    }).once('error', (error) => end(0, error.message));
  });
}
