import type { RouteConfig, SignedConfig } from './config.ts';
import { isEd25519, publicKeyFault } from './public-key.ts';
import type { Written } from './schema.ts';
import type { Settling } from './settling.ts';
import type { Path } from './tree-path.ts';
import { trustedRootFault } from './trusted-root.ts';

type WrittenSigned = Written['defaults']['signed'];

/** The routes with whose signature each asks for, in their order as written; keys are read, with faults for what are none. */
export async function withSigned(routes: readonly RouteConfig[], written: Written, work: Settling): Promise<RouteConfig[]> {
  const byDefault = await settleSigned(written.defaults.signed, ['defaults', 'signed'], work);
  return Promise.all(
    routes.map(async (route, index) => {
      const own = written.routes?.[index]?.signed;
      const signed = own === undefined ? byDefault : await settleSigned(own, ['routes', index, 'signed'], work);
      if (signed === undefined) return route;
      if (route.passthrough)
        work.warnings.push(
          `${route.at}: signatures are looked for in nobody's name, so that with signed and passthrough only what anybody may read is served`,
        );
      if (route.push)
        work.warnings.push(
          `${route.at}: what is pushed to a route with signed cannot be signed there: cosign reads first what it signs`,
        );
      return { ...route, policy: { ...route.policy, signed } };
    }),
  );
}

async function settleSigned(written: WrittenSigned, where: Path, work: Settling): Promise<SignedConfig | undefined> {
  const cosign = written?.cosign;
  if (cosign === undefined) return undefined;
  const path = [...where, 'cosign'];
  const { identities } = cosign;
  if (cosign.keys.length + identities.length === 0)
    return work.fault(path, 'expected keys or identities: nothing could be signed by any of none');
  const keys = await Promise.all(
    cosign.keys.map((file, index) => checked(file, [...path, 'keys', index], publicKeyFault, work)),
  );
  for (const [index, key] of keys.entries())
    if (key !== undefined && isEd25519(key))
      work.warnings.push(
        `${nameOf([...path, 'keys', index])} is of Ed25519: signatures in bundles, which cosign makes by it as Ed25519ph, cannot be checked here and do not count`,
      );
  const trustedRoot = await checked(cosign.trustedroot, [...path, 'trustedroot'], trustedRootFault, work);
  if (identities.length > 0 && cosign.trustedroot === undefined)
    work.fault([...path, 'identities'], 'expected trustedroot beside it: certificates are believed by nothing else');
  if (identities.length === 0 && trustedRoot !== undefined)
    work.warnings.push(`${nameOf(path)}.trustedroot has no effect here: keys need none, and there are no identities`);
  return { keys: keys.filter((key) => key !== undefined), identities, trustedRoot };
}

async function checked(
  file: string | undefined,
  path: Path,
  faultOf: (text: string) => string | undefined,
  work: Settling,
): Promise<string | undefined> {
  const text = await work.read(file, path);
  const fault = text === undefined ? undefined : faultOf(text);
  return fault === undefined ? text : work.fault(path, fault);
}

function nameOf(path: Path): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : at === 0 ? part : `.${part}`)).join('');
}
