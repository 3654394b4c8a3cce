import { mutants as absence } from './absence.ts';
import { mutants as access } from './access.ts';
import { mutants as admission } from './admission.ts';
import { mutants as advisories } from './advisories.ts';
import { mutants as audit } from './audit.ts';
import { mutants as authTokens } from './auth-tokens.ts';
import { mutants as backup } from './backup.ts';
import { mutants as blobs } from './blobs.ts';
import { mutants as config } from './config.ts';
import { mutants as credentials } from './credentials.ts';
import { mutants as events } from './events.ts';
import { mutants as evict } from './evict.ts';
import { mutants as eviction } from './eviction.ts';
import { mutants as granting } from './granting.ts';
import { mutants as health } from './health.ts';
import { mutants as hosted } from './hosted.ts';
import { mutants as http } from './http.ts';
import { mutants as limits } from './limits.ts';
import { mutants as metadata } from './metadata.ts';
import type { Mutant } from './mutant.ts';
import { mutants as observe } from './observe.ts';
import { mutants as oci } from './oci.ts';
import { mutants as official } from './official.ts';
import { mutants as passthrough } from './passthrough.ts';
import { mutants as possession } from './possession.ts';
import { mutants as past } from './past.ts';
import { mutants as prefetch } from './prefetch.ts';
import { mutants as pull } from './pull.ts';
import { mutants as push } from './push.ts';
import { mutants as ready } from './ready.ts';
import { mutants as signIn } from './sign-in.ts';
import { mutants as signed } from './signed.ts';
import { mutants as sim } from './sim.ts';
import { mutants as tagTimes } from './tag-times.ts';
import { mutants as tls } from './tls.ts';
import { mutants as upstream } from './upstream.ts';
import { mutants as workers } from './workers.ts';

/** Every mutant of the house, by room: each room keeps a file of its own. */
export const MUTANTS: Readonly<Record<string, readonly Mutant[]>> = {
  oci,
  blobs,
  metadata,
  upstream,
  credentials,
  health,
  http,
  tls,
  access,
  advisories,
  audit,
  limits,
  'auth-tokens': authTokens,
  'sign-in': signIn,
  signed,
  admission,
  pull,
  'tag-times': tagTimes,
  ready,
  granting,
  push,
  config,
  observe,
  absence,
  passthrough,
  possession,
  past,
  prefetch,
  hosted,
  events,
  evict,
  eviction,
  official,
  backup,
  workers,
  sim,
};

/** With the room before the name, as it is called when it runs. */
export const allMutants: readonly { readonly title: string; readonly mutant: Mutant }[] = Object.entries(MUTANTS).flatMap(
  ([room, mutants]) => mutants.map((mutant) => ({ title: `${room}: ${mutant.name}`, mutant })),
);
