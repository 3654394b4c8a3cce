import type { RouteConfig } from './config.ts';
import type { Written } from './schema.ts';
import { policyOf } from './settle-routes.ts';
import type { Settling } from './settling.ts';

/**
 * The registry under which a plain registry keeps what has no registry in its name. It is a name like any other, so that
 * routes over `local/**` with `names.default: local`, or a Host that stands for it, go on with what was pushed before.
 */
export const PLAIN_REGISTRY = 'local';

/**
 * The official registry's plain mode: neither `proxy` nor `routes` (contract, *Modes of the official registry*). One route for
 * every name, to what is pushed here.
 */
export function plainOf(written: Written, work: Settling): { readonly registry: string; readonly route: RouteConfig } {
  const remedy = 'expected routes that use it: without routes and proxy this is a plain registry, which asks nobody';
  if (written.upstreams.size > 0) work.fault(['upstreams'], remedy);
  if (written.credentials.size > 0) work.fault(['credentials'], remedy);
  if (isNamed(written.names))
    work.fault(['names'], 'expected routes beside it: a plain registry takes names as they stand, whatever Host they come by');
  return {
    registry: PLAIN_REGISTRY,
    route: {
      name: PLAIN_REGISTRY,
      match: ['**'],
      upstreams: ['hosted'],
      deny: false,
      push: true,
      shadow: false,
      passthrough: false,
      policy: policyOf({}, written.defaults),
      at: 'plain registry',
    },
  };
}

function isNamed({ default: registry, self, hosts, prefixes, aliases, allow }: Written['names']): boolean {
  return registry !== undefined || self.length + allow.length + hosts.size + prefixes.size + aliases.size > 0;
}
