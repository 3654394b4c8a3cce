import type { FillKey } from '../../metadata/records.ts';

/** A fill among others in memory. Neither half has a space in it. */
export function keyText({ registry, digest }: FillKey): string {
  return `${registry} ${digest}`;
}
