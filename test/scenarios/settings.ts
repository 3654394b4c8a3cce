import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';

/** A configuration file, as plain data: JSON is YAML. */
export type Settings = Readonly<Record<string, unknown>>;

/** Of a disk that may be nearly full, and is anybody's: what is held depends on what a test does, and on nothing else. */
export const ROOMY: Settings = { maxsize: '4GiB', keepfree: '0%' };

/** A server of this directory, on free ports of the loopback, whose routes are `more`'s. */
export function baseSettings(directory: string, more: Settings): Settings {
  return {
    version: 0.1,
    http: { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } } },
    storage: { filesystem: { rootdirectory: directory } },
    cache: ROOMY,
    ...more,
  };
}

/** docker.io, and what else is named, from one upstream. `policy`: keys of the route. */
export function routesTo(upstream: Pick<ScriptedUpstream, 'url'>, policy: Settings = {}, options: Settings = {}): Settings {
  return chainTo({ hub: { url: upstream.url, ...options } }, policy);
}

/** docker.io from a chain of upstreams, in this order. */
export function chainTo(upstreams: Readonly<Record<string, Settings>>, policy: Settings = {}): Settings {
  return {
    upstreams,
    routes: [{ match: 'docker.io/**', name: 'hub', upstreams: Object.keys(upstreams), ...policy }],
  };
}
