import type { Disk } from '../../src/system/disk.ts';

export interface FileOnDisk {
  readonly path: string;
  /** `sha256:…`: the first directory and the file's own name. */
  readonly name: string;
  readonly bytes: Buffer;
}

/** Every file of `<root>/<algorithm>/<two digits>/`. */
export async function filesBelow(disk: Disk, root: string): Promise<readonly FileOnDisk[]> {
  const found: FileOnDisk[] = [];
  for (const algorithm of await disk.list(root)) {
    for (const fan of await disk.list(`${root}/${algorithm}`)) {
      for (const name of await disk.list(`${root}/${algorithm}/${fan}`)) {
        const path = `${root}/${algorithm}/${fan}/${name}`;
        const bytes = await bytesAt(disk, path);
        if (bytes !== undefined) found.push({ path, name: `${algorithm}:${name}`, bytes });
      }
    }
  }
  return found;
}

export async function bytesAt(disk: Disk, path: string): Promise<Buffer | undefined> {
  const file = await disk.open(path, 'read');
  if (file === undefined) return undefined;
  const bytes = Buffer.alloc(await file.size());
  await file.read(bytes, 0);
  await file.close();
  return bytes;
}
