import { connect, type Server } from 'node:net';

export interface UnixSocketOptions {
  readonly path: string;
  /** Removes a file; false when there was none. */
  readonly unlink: (path: string) => Promise<boolean>;
}

/**
 * Listens on a unix socket: `private`, for its owner alone (mode 0600), or `shared`, as the process's mask has it. A file that a killed process left behind is replaced;
 * one on which somebody answers is not: rejects with EADDRINUSE then.
 */
export async function listenOnUnixSocket(
  server: Server,
  { path, unlink }: UnixSocketOptions,
  access: 'private' | 'shared',
): Promise<void> {
  try {
    await listenAt(server, path, access);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || (await answers(path))) throw error;
    await unlink(path);
    await listenAt(server, path, access);
  }
}

/** The file is made by `listen` in this same turn, so that it is never open to others, and nothing else is made with this mask. */
function listenAt(server: Server, path: string, access: 'private' | 'shared'): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const mask = access === 'private' ? process.umask(0o177) : undefined;
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      if (mask !== undefined) process.umask(mask);
    }
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    // ECONNREFUSED: the file is there and nobody listens.
    socket.once('error', () => resolve(false));
  });
}
