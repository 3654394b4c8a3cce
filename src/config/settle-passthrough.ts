import type { AccessConfig, AuthConfig } from './auth-config.ts';
import type { HttpConfig, RouteConfig, UpstreamConfig } from './config.ts';
import { isGuarded } from './settle-use.ts';
import type { Settling } from './settling.ts';

interface Around {
  readonly routes: readonly RouteConfig[];
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
  readonly auth: AuthConfig | undefined;
  readonly access: AccessConfig;
  readonly http: Pick<HttpConfig, 'addr' | 'host' | 'tls'>;
}

/** Faults where clients' credentials would go to more than one place, or something else would open what they are for. */
export function checkPassthrough({ routes, upstreams, auth, access, http }: Around, work: Settling): void {
  if (routes.some(({ passthrough }) => passthrough) && isInTheClear(http))
    work.warnings.push(
      "passthrough: clients' passwords cross the network in the clear: configure http.tls, or put TLS in front and name it in http.host",
    );
  for (const [index, route] of routes.entries()) {
    if (!route.passthrough) continue;
    const path = ['routes', index, 'passthrough'];
    const [name = '', ...others] = route.upstreams;
    const upstream = upstreams.get(name);
    if (route.deny || route.policy.offline || others.length > 0 || name === 'hosted' || name === '')
      work.fault(
        path,
        "expected one upstream in the chain, to be asked with clients' credentials: not hosted, deny or offline",
      );
    if (upstream?.use === 'all')
      work.fault(
        path,
        `expected use: quota at upstreams.${name}: its own account would open what clients' credentials are for`,
      );
    if (upstream !== undefined && (upstream.headers.size > 0 || upstream.tls?.certificate !== undefined))
      work.fault(path, `expected neither headers nor tls.certificate at upstreams.${name}: they open doors for whoever asks`);
    if (auth?.token !== undefined)
      work.fault(path, 'expected no auth.token: clients would show their credentials to that server, and not here');
    if (auth !== undefined && (access.rules === undefined || isGuarded(route, access)))
      work.fault(path, 'expected a rule under access that lets anyone pull here: the upstream alone says who may');
  }
}

function isInTheClear({ addr, host, tls }: Around['http']): boolean {
  const isHere = /^(?:localhost|127\..*|::1)$/.test(addr.host ?? '');
  return tls === undefined && !isHere && host?.startsWith('https:') !== true;
}
