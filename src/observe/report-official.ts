import type { OfficialEvent } from './events.ts';
import type { Log } from './log.ts';

/** What is in an official registry's data, and what was not taken over: somebody may want to look. */
export function reportOfficial(log: Log): (event: OfficialEvent) => void {
  return (event) => {
    if (event.kind === 'official-found') return reportFound(log, event);
    const { repository, reference } = event;
    const why = event.kind === 'official-refused' ? { why: event.why } : { error: event.error };
    log.warn('not taken over', { repository, reference, ...why });
  };
}

function reportFound(log: Log, { directory, served }: Extract<OfficialEvent, { kind: 'official-found' }>): void {
  const command = `entrepot import --from-registry ${directory}`;
  if (served)
    return log.info('official data', { directory, served, next: `served from where they are; ${command} takes them over` });
  log.warn('official data', {
    directory,
    served,
    next: `not served, since routes say whose names are: ${command} --as REGISTRY [--hosted]`,
  });
}
