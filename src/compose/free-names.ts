import type { Records } from '../metadata/records.ts';
import { RegistryError } from '../oci/errors.ts';
import type { AskTaken } from '../pull/taken.ts';
import type { Route } from '../pull/route.ts';

export interface PushedTo {
  readonly name: { readonly registry: string; readonly repository: string; readonly shown: string };
  /** `registry/repository`. */
  readonly holder: string;
}

export interface FreeNamesDeps {
  readonly records: Pick<Records, 'owner'>;
  readonly router: (name: PushedTo['name']) => Route | undefined;
  readonly askTaken: AskTaken;
}

/**
 * Who may be pushed to under a name (contract, "Upstreams built in"): on a chain that others share, a repository that is
 * hosted already, one that nobody else answers, or any where the route has `shadow: true`. Throws RegistryError: 403 where the
 * name is somebody's, 503 while that cannot be told. Rejects with what the metadata says when they cannot be asked.
 */
export function createRefuseTaken({ records, router, askTaken }: FreeNamesDeps): (asked: PushedTo) => Promise<void> {
  return async ({ name, holder }) => {
    const route = router(name);
    if (route === undefined || route.alone || route.shadow || (await records.owner(holder)) !== undefined) return;
    const taken = await askTaken(name);
    if (taken === 'taken') {
      const message = `${name.shown} is answered by an upstream of the route ${route.name}: push under another name, or set shadow: true there`;
      throw new RegistryError('DENIED', message);
    }
    if (taken === 'unknown') {
      const message = `whether an upstream answers ${name.shown} cannot be found out now, and nothing may take its name: try again later`;
      throw new RegistryError('UNAVAILABLE', message, { status: 503, headers: { 'retry-after': '10' } });
    }
  };
}
