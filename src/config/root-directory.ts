import { dirname, resolve } from 'node:path';
import { applyEnvironment } from './env.ts';
import { interpolate } from './interpolate.ts';
import { readFirst, type LoadOptions } from './load.ts';
import { asSection } from './spelling.ts';
import { treeAt } from './tree-path.ts';
import { parseTree } from './tree.ts';

/**
 * The `rootdirectory` of a configuration that is otherwise wrong, absolute: a server may still run with what stood there
 * before. `undefined` where none can be made out.
 */
export async function findRootDirectory(options: LoadOptions): Promise<string | undefined> {
  try {
    const found = await readFirst(options);
    const tree = asSection(parseTree(found?.text ?? '', found?.path ?? 'environment'));
    if ('expected' in tree) return undefined;
    interpolate(tree, options.env);
    applyEnvironment(tree, options.env);
    const written = treeAt(tree, ['storage', 'filesystem', 'rootdirectory']);
    if (written?.kind !== 'scalar' || !written.text) return undefined;
    return resolve(found === undefined ? options.directory : dirname(found.path), written.text);
  } catch {
    // What is wrong with the file was said by who read all of it.
    return undefined;
  }
}
