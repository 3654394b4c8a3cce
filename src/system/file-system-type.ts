import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Magic numbers of statfs(2) whose file systems lie on another machine or in another process. */
const REMOTE: ReadonlyMap<number, string> = new Map([
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x517b, 'smb'],
  [0x65735546, 'fuse'],
  [0x00c36400, 'ceph'],
  [0x0bd00bd0, 'lustre'],
]);

/**
 * The kind of remote or user-space file system that holds `path` (`nfs`, `cifs`, `smb2`, `smb`, `fuse`, `ceph`, `lustre`);
 * `undefined` for any other. A path that does not exist yet is judged by the nearest directory above it that does.
 */
export async function remoteFileSystem(path: string): Promise<string | undefined> {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { type } = await statfs(at);
      return REMOTE.get(type >>> 0); // Some platforms give the number signed.
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(at) === at) throw error;
    }
  }
}
