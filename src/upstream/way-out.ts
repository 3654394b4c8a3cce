import { bodyLimits } from './body.ts';
import { createGuard, listedHost, normalHost, ownPlaceOf, type Guard } from './guard.ts';
import { DEFAULTS, type UpstreamDeps, type UpstreamOptions } from './options.ts';
import { proxyFor } from './proxy.ts';
import { createResolve } from './resolve.ts';
import { createTransport, type Transport } from './transport.ts';

/** The connections of one upstream: where they may lead, through which proxy, and how long they may take. */
export function createWayOut(options: UpstreamOptions, deps: UpstreamDeps): Transport {
  const { timeouts = {} } = options;
  return createTransport({
    clock: deps.clock,
    guard: guardOf(options, deps),
    connectMs: timeouts.connectMs ?? DEFAULTS.connectMs,
    headersMs: timeouts.headersMs ?? DEFAULTS.headersMs,
    body: bodyLimits(timeouts.stallMs ?? DEFAULTS.stallMs),
    tls: options.tls ?? {},
    ownHost: normalHost(options.url.hostname),
    proxyFor: (target) => proxyFor(options.proxy ?? 'environment', deps.env ?? {}, target),
  });
}

/**
 * A configured upstream may be at any address. Where its own is private, it may lead to private ones too; where it is
 * public, only to those that are listed. `origin` may be at public ones alone.
 */
function guardOf(options: UpstreamOptions, deps: UpstreamDeps): Guard {
  const own = normalHost(options.url.hostname);
  const listed = new Set([...(options.redirectHosts ?? []), ...(options.tokenHosts ?? [])].map((entry) => listedHost(entry)));
  const place = ownPlaceOf(own);
  return createGuard({
    trusts: (hostname) => listed.has(hostname) || (!options.publicOnly && (hostname === own || place.isPrivate())),
    allow: options.allow ?? [],
    never: options.self ?? [],
    seen: place.seen,
    resolve: createResolve(deps.clock, deps.resolve),
  });
}
