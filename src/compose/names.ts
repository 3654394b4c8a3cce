import type { Config } from '../config/config.ts';
import type { NameOptions } from '../pull/name.ts';

/** How names are read, as the configuration says. */
export function nameOptions(config: Config): NameOptions {
  const { only, allow: _allow, open: _open, ...names } = config.names;
  return {
    ...names,
    pathPrefix: config.http.prefix,
    ...(only === undefined ? {} : { only }),
    ...(config.mode === 'plain' ? { plain: names.default } : {}),
  };
}
