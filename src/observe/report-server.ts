import type { PushEvent, ServerEvent } from './events.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { States } from './states.ts';

export function reportServer(
  log: Log,
  metrics: Metrics,
  states: States,
): (event: ServerEvent | Extract<PushEvent, { kind: 'uploads-purged' }>) => void {
  return (event) => {
    switch (event.kind) {
      case 'listening': {
        const { addresses, config, rootdirectory, version } = event;
        return log.always('listening', { addresses, config, rootdirectory, version });
      }
      case 'reloaded':
        metrics.set('entrepot_config_last_reload_successful', {}, 1);
        states.change('reload', '', '');
        return log.info('reloaded', {
          config: event.config,
          ...(event.restart.length > 0 ? { needs_restart: event.restart } : {}),
        });
      case 'reload-failed':
        metrics.set('entrepot_config_last_reload_successful', {}, 0);
        // The file is looked at until it is right: the same fault is said once.
        if (!states.change('reload', event.message, '')) return;
        return log.error('reload failed', { config: event.config, error: event.message });
      case 'uploads-purged': {
        const { uploads, bytes, dryRun } = event;
        return log.info('uploads purged', { uploads, bytes, ...(dryRun ? { dryrun: true } : {}) });
      }
      default:
        return log.info('draining', { requests: event.requests });
    }
  };
}
