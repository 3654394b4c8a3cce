import { connect, type Server } from 'node:net';

export interface UnixSocketOptions {
  readonly path: string;
  /** Removes the file of a socket, at this path itself. False, and nothing is removed, when what stands there is something else. */
  readonly unlinkSocket: (path: string) => Promise<boolean>;
}

/**
 * Listens on a unix socket: `private`, for its owner alone (mode 0600), or `shared`, as the process's mask has it. The file of a
 * socket that a killed process left behind is replaced. One on which somebody answers is not: rejects with EADDRINUSE then; nor
 * is anything else that stands there: rejects with an error that says what to do.
 */
export async function listenOnUnixSocket(
  server: Server,
  { path, unlinkSocket }: UnixSocketOptions,
  access: 'private' | 'shared',
): Promise<void> {
  try {
    await listenAt(server, path, access);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    const answer = await answerAt(path);
    if (answer === 'somebody') throw error;
    if (answer === 'nobody' && !(await unlinkSocket(path))) throw inTheWay(path, 'is no socket');
    if (answer instanceof Error) throw inTheWay(path, `cannot be asked whether somebody listens (${answer.message})`);
    await listenAt(server, path, access);
  }
}

function inTheWay(path: string, what: string): Error {
  return new Error(`${path} stands where a socket is wanted, and ${what}: look what it is, and move it away`);
}

/** The file is made by `listen` in this same turn, so that it is never open to others, and nothing else is made with this mask. */
function listenAt(server: Server, path: string, access: 'private' | 'shared'): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const mask = access === 'private' ? process.umask(0o177) : undefined;
    try {
      // What several processes share is bound by another one, which has a mask of its own.
      server.listen({ path, exclusive: access === 'private' }, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      if (mask !== undefined) process.umask(mask);
    }
  });
}

/** An error when it cannot be told, as of what this user may not open. */
function answerAt(path: string): Promise<'somebody' | 'nobody' | Error> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve('somebody');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // A full queue has a listener. What is no socket at all refuses just as one does without a listener.
      if (error.code === 'EAGAIN') resolve('somebody');
      else resolve(NOBODY.has(error.code ?? '') ? 'nobody' : error);
    });
  });
}

/** ENOENT: closed by its server in this moment, or a link that leads nowhere. */
const NOBODY: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTSOCK', 'ENOENT']);
