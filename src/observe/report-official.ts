import type { OfficialEvent } from './events.ts';
import type { Log } from './log.ts';

/** What is in an official registry's data and was not taken over: somebody may want to look. */
export function reportOfficial(log: Log): (event: OfficialEvent) => void {
  return (event) => {
    const { repository, reference } = event;
    const why = event.kind === 'official-refused' ? { why: event.why } : { error: event.error };
    log.warn('not taken over', { repository, reference, ...why });
  };
}
