import type { Tree } from './tree.ts';
import type { Row } from './verdict.ts';

const isMoreThanOne = (value: Tree): boolean => value.kind === 'scalar' && /^(?:auto|[2-9]|[1-9]\d+)$/.test(value.text ?? '');

const policy = 'is not built yet: leave it out';

/** Keys of a route, and of `defaults`, that later versions bring. */
const routeKeys: readonly Omit<Row, 'verdict'>[] = ['admit', 'digests'].map((key) => ({
  key,
  why: policy,
}));

const refused: readonly Omit<Row, 'verdict'>[] = [
  { key: 'workers', why: 'is not built yet: one process serves', when: isMoreThanOne },
  ...['defaults', 'routes.*'].flatMap((where) => routeKeys.map((row) => ({ ...row, key: `${where}.${row.key}` }))),
];

/** What the contract names and this version does not do: refused, so that nobody believes it is done. */
export const later: readonly Row[] = refused.map((row) => ({ ...row, verdict: 'refused' }));
