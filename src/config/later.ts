import type { Tree } from './tree.ts';
import type { Row } from './verdict.ts';

const isMoreThanOne = (value: Tree): boolean => value.kind === 'scalar' && /^(?:auto|[2-9]|[1-9]\d+)$/.test(value.text ?? '');

/** What the contract names and this version does not do: refused, so that nobody believes it is done. */
export const later: readonly Row[] = [
  { key: 'workers', why: 'is not built yet: one process serves', when: isMoreThanOne, verdict: 'refused' },
];
