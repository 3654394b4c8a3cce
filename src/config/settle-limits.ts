import type { LimitsConfig } from './config.ts';
import type { Written } from './schema.ts';
import type { Settling } from './settling.ts';

export function settleLimits({ address, subject, uploads }: Written['limits'], work: Settling): LimitsConfig {
  return { address: settleAllowance(address, 'address', work), subject: settleAllowance(subject, 'subject', work), uploads };
}

/** What ten seconds bring: an image is asked for in a dozen requests that come together. */
const BURST_SECONDS = 10;

function settleAllowance(
  { rate, burst, concurrent }: Written['limits']['address'],
  key: 'address' | 'subject',
  work: Settling,
): LimitsConfig['address'] {
  if (rate === undefined && burst !== undefined) work.fault(['limits', key, 'burst'], 'expected rate besides');
  return {
    rate: rate === undefined ? undefined : { perSecond: rate, burst: burst ?? Math.max(1, Math.ceil(rate * BURST_SECONDS)) },
    concurrent,
  };
}
