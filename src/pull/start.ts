import { RegistryError } from '../oci/errors.ts';
import { noSuchName } from '../oci/no-such-name.ts';
import { referenceText } from '../oci/reference.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { earlier } from './meaning.ts';
import type { PullRequest } from './pull.ts';
import { carrying } from './via.ts';

/** Who could have it: the first route that matches. Nothing is looked up or dialled for a name that none matches. */
export function startPulling(
  deps: PullDeps,
  { method, target, range, ifRange, ifNoneMatch, signal, trace }: PullRequest,
): Pulling {
  const { registry, repository } = target.name;
  trace.registry = registry;
  trace.repository = repository;
  trace.reference = target.kind === 'blob' ? target.digest : referenceText(target.reference);
  trace.type = target.kind;
  const route = deps.router(target.name);
  if (route === undefined) throw noSuchName(`${registry}/${repository}`);
  trace.route = route.name;
  if (route.deny) {
    trace.outcome = 'denied';
    throw new RegistryError('DENIED', `${registry}/${repository} is denied here by the route ${route.name}`);
  }
  return {
    route: carrying(route, trace.via),
    registry,
    repository,
    holder: `${registry}/${repository}`,
    asof: earlier(target.name.asof, route.policy.asof),
    method,
    range,
    ifRange,
    ifNoneMatch,
    signal,
    trace,
  };
}

/** Through the door of its route, where that has one. */
export async function enter(deps: PullDeps, request: PullRequest, pulling: Pulling): Promise<Pulling> {
  if (pulling.route.passthrough === undefined) return pulling;
  const { target, client } = request;
  const reference = target.kind === 'blob' ? target.digest : referenceText(target.reference);
  return { ...pulling, route: await deps.passthrough.enter({ ...pulling, kind: target.kind, reference, client }) };
}
