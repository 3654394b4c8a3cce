import type { Fault } from './fault.ts';
import { faultAt, isEmpty, pathsLike, placeAt, printPath, removeAt, treeAt, type Path } from './tree-path.ts';
import type { Tree } from './tree.ts';

/** What becomes of a key that the schema does not hold, or of one of its values. */
export interface Row {
  /** `http.tls`, and all below it; `*` is any name or item. */
  readonly key: string;
  /**
   * `used`: the schema holds it; with `when`, these values ask for what is done anyway, and are taken out without a word.
   * `harmless`: accepted with one warning. `refused`: an error, even where ignoring it would let the file load.
   */
  readonly verdict: 'used' | 'harmless' | 'refused';
  /** Rest of a sentence about the key: why, and what to do instead. */
  readonly why: string;
  /** The row speaks of these values alone; the next row of the same key speaks of the others. */
  readonly when?: (value: Tree, whole: Tree) => boolean;
  /** Its mere presence says something (a storage driver without options); else an empty value says nothing. */
  readonly evenEmpty?: boolean;
}

export interface Judgement {
  readonly faults: readonly Fault[];
  /** One for each harmless key, however often it occurs. */
  readonly warnings: readonly string[];
}

/** Applies `rows` to `tree` in their order, taking out what they settle, so that the schema need not know of it. */
export function judge(tree: Tree, rows: readonly Row[]): Judgement {
  const faults: Fault[] = [];
  const warnings: string[] = [];
  for (const row of rows.filter(({ verdict, when }) => verdict !== 'used' || when !== undefined)) {
    const met = concerned(row, tree);
    const [first] = met;
    if (row.verdict === 'refused') faults.push(...met.map((path) => refusal(row, path, tree)));
    if (row.verdict === 'harmless' && first !== undefined) warnings.push(`${printPath(first)} has no effect here: ${row.why}`);
    for (const path of met) removeAt(tree, path);
  }
  return { faults, warnings };
}

/** Where the row speaks; empty values are taken out on the way. */
function concerned(row: Row, tree: Tree): Path[] {
  return pathsLike(tree, row.key.split('.')).filter((path) => {
    const value = treeAt(tree, path);
    if (value === undefined || row.when?.(value, tree) === false) return false;
    if (row.evenEmpty !== true && isEmpty(value)) removeAt(tree, path);
    else return true;
    return false;
  });
}

function refusal(row: Row, path: Path, tree: Tree): Fault {
  return faultAt(placeAt(tree, path, 'key'), path, row.why);
}
