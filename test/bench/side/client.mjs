// Downloads, each byte compared with what it should be: { urls, clients, times } → { bytes, seconds, firstByteMs } by message.
import { createHash } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';

const { urls, clients, times } = JSON.parse(process.argv[2]);
const READ_BYTES = 256 * 1024;
// Two blocks more, so that any offset within a block can be compared in one piece.
const expected = Buffer.alloc(READ_BYTES + 128, createHash('sha512').update('entrepot').digest());

/** One GET on a connection of its own. */
function pull(url) {
  const { hostname, port, pathname, protocol } = new URL(url);
  return new Promise((resolve, reject) => {
    const started = performance.now();
    let head = '';
    let total;
    let seen = 0;
    let firstByteMs = 0;
    const take = (chunk) => {
      let bytes = chunk;
      if (total === undefined) {
        head += chunk.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        firstByteMs = performance.now() - started;
        if (!head.startsWith('HTTP/1.1 200')) return fail(new Error(head.slice(0, 200)));
        total = Number(/content-length: (\d+)/i.exec(head)?.[1]);
        bytes = Buffer.from(head.slice(end + 4), 'latin1');
      }
      const at = seen % 64;
      if (bytes.length > 0 && bytes.compare(expected, at, at + bytes.length) !== 0)
        return fail(new Error(`wrong bytes at ${seen}`));
      seen += bytes.length;
      if (seen < total) return;
      socket.destroy();
      resolve({ bytes: seen, firstByteMs });
    };
    const fail = (error) => {
      socket.destroy();
      reject(error);
    };
    const request = `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: close\r\n\r\n`;
    const onread = {
      buffer: Buffer.allocUnsafe(READ_BYTES),
      callback(count, buffer) {
        take(buffer.subarray(0, count));
        return true;
      },
    };
    const socket =
      protocol === 'https:'
        ? tls.connect({ host: hostname, port, rejectUnauthorized: false }, () => socket.write(request)).on('data', take)
        : net.connect({ host: hostname, port, onread }, () => socket.write(request));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`ended after ${seen} of ${total} bytes`)));
  });
}

try {
  const began = performance.now();
  const each = async (_, client) => {
    let [bytes, firstByteMs] = [0, 0];
    for (let time = 0; time < times; time += 1) {
      const pulled = await pull(urls[(client + time) % urls.length]);
      bytes += pulled.bytes;
      firstByteMs = Math.max(firstByteMs, pulled.firstByteMs);
    }
    return { bytes, firstByteMs };
  };
  const all = await Promise.all(Array.from({ length: clients }, each));
  process.send({
    bytes: all.reduce((sum, one) => sum + one.bytes, 0),
    seconds: (performance.now() - began) / 1000,
    firstByteMs: Math.max(...all.map((one) => one.firstByteMs)),
  });
} catch (error) {
  process.send({ fault: error.message });
}
process.disconnect();
