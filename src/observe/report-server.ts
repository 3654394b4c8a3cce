import type { PushEvent, ReloadedPart, ServerEvent } from './events.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { States } from './states.ts';

export function reportServer(
  log: Log,
  metrics: Pick<Metrics, 'set'>,
  states: States,
): (event: ServerEvent | Extract<PushEvent, { kind: 'uploads-purged' }>) => void {
  const failed = new Set<ReloadedPart | undefined>();
  return (event) => {
    switch (event.kind) {
      case 'listening': {
        const { addresses, config, rootdirectory, version } = event;
        return log.always('listening', { addresses, config, rootdirectory, version });
      }
      case 'reloaded':
        failed.delete(event.part);
        metrics.set('entrepot_config_last_reload_successful', {}, failed.size === 0 ? 1 : 0);
        states.change(stateOf(event), '', '');
        return log.info('reloaded', {
          config: event.config,
          ...(event.restart.length > 0 ? { needs_restart: event.restart } : {}),
        });
      case 'reload-failed':
        failed.add(event.part);
        metrics.set('entrepot_config_last_reload_successful', {}, 0);
        // The file is looked at until it is right: the same fault is said once.
        if (!states.change(stateOf(event), event.message, '')) return;
        return log.error('reload failed', { config: event.config, error: event.message });
      case 'certificate': {
        const { name, expires, left } = event;
        metrics.set('entrepot_certificate_expiry_timestamp_seconds', { name }, expires / 1000);
        if (!states.change(`certificate ${name}`, left, 'enough') || left === 'enough') return;
        const record = { name, expires: new Date(expires).toISOString() };
        return left === 'none' ? log.error('certificate expires', record) : log.warn('certificate expires', record);
      }
      case 'plain-http':
        return log.warn('plain http', {
          address: event.address,
          why: 'passwords and images can be read on their way: set http.tls, or let only a proxy that speaks TLS reach this address',
        });
      case 'uploads-purged': {
        const { uploads, bytes, dryRun } = event;
        return log.info('uploads purged', { uploads, bytes, ...(dryRun ? { dryrun: true } : {}) });
      }
      default:
        return log.info('draining', { requests: event.requests });
    }
  };
}

function stateOf({ part }: { readonly part?: ReloadedPart }): string {
  return part === undefined ? 'reload' : `reload ${part}`;
}
