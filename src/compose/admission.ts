import { hostname } from 'node:os';
import { createAdmissions, type Admission } from '../admission/admission.ts';
import { createAdmit, scannerPlaces } from '../admission/admit.ts';
import { createAging } from '../admission/aging.ts';
import { createDigests } from '../admission/digests.ts';
import type { AdmissionEvent } from '../admission/events.ts';
import { fingerprintOf } from '../admission/fingerprint.ts';
import type { Judge } from '../admission/judge.ts';
import { Ledger } from '../admission/ledger.ts';
import type { Places } from '../admission/places.ts';
import { Questions, type OpenQuestion } from '../admission/questions.ts';
import { createSigned } from '../admission/signed.ts';
import type { AdmitConfig, Config, RouteConfig } from '../config/config.ts';
import type { Records } from '../metadata/records.ts';
import type { Unowned } from '../pull/unowned.ts';
import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import { ALONE, type Siblings } from '../workers/siblings.ts';
import { askScanner } from './asking.ts';
import type { Pulling } from './pulling.ts';
import { createSignatureStore } from './signature-store.ts';

export interface AdmittingParts {
  readonly system: { readonly clock: Clock; readonly random: Random };
  readonly records: Pick<Records, 'verdicts'>;
  /** Questions go on when whoever wanted the answer has gone. */
  readonly unowned: Unowned;
  /** What judges read. */
  readonly pulling: () => Pick<Pulling, 'pull' | 'lists'>;
  /** Where whoever is asked reaches this server. */
  readonly address: () => string;
  readonly report: (event: AdmissionEvent) => void;
  /** Whoever is asked may come to any of them. */
  readonly siblings?: Siblings;
}

/** What may be served, as one configuration after the other says: what was said, and what is being asked, carries over. */
export interface Admitting {
  /** `undefined`: the route serves all that it has. */
  of(route: RouteConfig): Admission | undefined;
  start(): void;
  stop(): void;
}

/** What all routes and configurations have in common of asking. */
interface Asking {
  readonly questions: Questions;
  /** By whom is asked. */
  readonly places: Map<string, Places>;
}

export function createAdmitting(parts: AdmittingParts): Admitting {
  const { system, records, unowned, report, siblings = ALONE } = parts;
  const asking: Asking = { questions: questionsOfAll(system.random, siblings), places: new Map() };
  const { questions } = asking;
  const admissions = createAdmissions({
    clock: system.clock,
    ledger: new Ledger({ verdicts: records.verdicts }),
    questions,
    report,
    signal: unowned.signal,
    track: (work) => unowned.track(work),
  });
  let isNeeded = false;
  const aging = createAging({ ...system, records, isNeeded: () => isNeeded });
  return {
    of(route) {
      if (!isJudged(route)) return undefined;
      isNeeded = true;
      return admissions.of({ deny: route.policy.digests?.deny ?? [], judges: judgesOf(route, parts, asking) });
    },
    start: () => aging.start(),
    stop: () => aging.stop(),
  };
}

interface Told {
  readonly question: OpenQuestion;
  readonly asker: number;
}

/** A name that one worker gave out opens what it is for at all of them: also at one that started since. */
function questionsOfAll(random: Random, siblings: Siblings): Questions {
  const questions = new Questions(random, {
    opened: (question) => siblings.gather('question', { question, asker: siblings.worker }).then(() => undefined),
    closed: (nonce) => siblings.tell('question over', nonce),
  });
  siblings.answer('question', ({ question, asker }: Told) => questions.hear(question, asker));
  siblings.answer('question over', (nonce: string) => questions.forget(nonce));
  siblings.answer('questions', () => questions.own().map((question): Told => ({ question, asker: siblings.worker })));
  siblings.onEnd((asker) => questions.forgetAllOf(asker));
  void siblings.gather('questions').then((told) => {
    for (const { question, asker } of (told as (readonly Told[])[]).flat()) questions.hear(question, asker);
  });
  return questions;
}

/** By which whoever is asked reaches this server: `http.host`, else the listener itself, by this machine's name where it is everybody's. */
export function ownAddress({ http }: Pick<Config, 'http'>, listening: string): string {
  if (http.host !== undefined) return `${http.host.replace(/\/+$/, '')}${http.prefix}`;
  const host = listening.replace(/^(?:0\.0\.0\.0|\[::\]):/, `${hostname()}:`);
  return `${http.tls === undefined ? 'http' : 'https'}://${host}${http.prefix}`;
}

export function isJudged({ policy: { digests, signed, admit } }: Pick<RouteConfig, 'policy'>): boolean {
  const hasLists = digests?.allow !== undefined || (digests?.deny.length ?? 0) > 0;
  return hasLists || signed !== undefined || admit !== undefined;
}

/** In the order in which they are asked: who costs least first. */
function judgesOf({ policy }: RouteConfig, parts: AdmittingParts, asking: Asking): readonly Judge[] {
  const judges: Judge[] = [];
  if (policy.digests?.allow !== undefined) judges.push(createDigests(policy.digests.allow));
  if (policy.signed !== undefined) judges.push(createSigned({ ...policy.signed, store: createSignatureStore(parts.pulling) }));
  if (policy.admit !== undefined) judges.push(admitOf(policy.admit, parts, asking));
  return judges;
}

function admitOf({ url, timeout, onerror }: AdmitConfig, parts: AdmittingParts, { questions, places }: Asking): Judge {
  const where = url.reveal();
  const fingerprint = fingerprintOf('admit', withoutUser(where));
  const place = places.get(fingerprint) ?? scannerPlaces();
  places.set(fingerprint, place);
  return createAdmit({
    fingerprint,
    onError: onerror === 'allow' ? 'admit' : 'refuse',
    timeoutMs: timeout,
    send: (body, signal) => askScanner(where, body, signal),
    clock: parts.system.clock,
    questions,
    places: place,
    address: parts.address,
  });
}

/** Who is asked for what: another password is no other scanner. */
function withoutUser(address: string): string {
  const { origin, pathname, search } = new URL(address);
  return `${origin}${pathname}${search}`;
}
