import type { Tree } from './tree.ts';
import type { Row } from './verdict.ts';

const holds =
  (...texts: readonly string[]) =>
  (value: Tree): boolean =>
    value.kind === 'list' ? value.items.some(holds(...texts)) : value.kind === 'scalar' && texts.includes(value.text ?? '');
const isMoreThanOne = (value: Tree): boolean => value.kind === 'scalar' && /^(?:auto|[2-9]|[1-9]\d+)$/.test(value.text ?? '');

const policy = 'is not built yet: leave it out';

/** Keys of a route, and of `defaults`, that later versions bring. */
const routeKeys: readonly Omit<Row, 'verdict'>[] = ['passthrough', 'admit', 'cooldown', 'signed', 'asof'].map((key) => ({
  key,
  why: policy,
}));

const refused: readonly Omit<Row, 'verdict'>[] = [
  { key: 'access', why: 'is not built yet: use routes with deny: true for what nobody may pull' },
  { key: 'groups', why: 'is not built yet, nor are access rules that could name a group' },
  { key: 'workers', why: 'is not built yet: one process serves', when: isMoreThanOne },
  { key: 'names.open', why: 'is not built yet, nor is anything that could challenge' },
  {
    key: 'upstreams.*.use',
    why: 'is an error until access rules are built: no rule can say who may see what these credentials unlock',
    when: holds('all'),
  },
  ...['defaults', 'routes.*'].flatMap((where) => routeKeys.map((row) => ({ ...row, key: `${where}.${row.key}` }))),
];

/** What the contract names and this version does not do: refused, so that nobody believes it is done. */
export const later: readonly Row[] = refused.map((row) => ({ ...row, verdict: 'refused' }));
