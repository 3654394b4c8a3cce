import type { Config } from '../config/config.ts';
import { compilePatterns } from '../pull/route.ts';

/** Whether the route of `registry/repository` passes clients' own credentials on. */
export function passesOn({ routes }: Pick<Config, 'routes'>): (holder: string) => boolean {
  if (!routes.some(({ passthrough }) => passthrough)) return () => false;
  const compiled = routes.map(({ match, passthrough }) => ({ matches: compilePatterns(match), passthrough }));
  return (holder) => compiled.find(({ matches }) => matches(holder))?.passthrough === true;
}
