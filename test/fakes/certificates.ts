import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { basicConstraints, ECDSA_SHA256, identifier, integer, sequence, tagged, time, toName, toPem } from './der.ts';

/** PEM texts. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority extends Pair {
  /** For `localhost` and 127.0.0.1, under one or more common names. */
  issue(names: string | readonly string[], validity?: Partial<Validity>): Pair;
  /** One under it, that may have `pathLength` more between itself and whomever it signs for; default: any number; `none`: it is no authority. */
  under(name: string, pathLength?: number | 'none'): Authority;
}

interface Validity {
  readonly from: Date;
  readonly to: Date;
}

const YEAR_MS = 365 * 86_400_000;

interface Signing {
  readonly names: readonly string[];
  readonly key: KeyObject;
}

/** One that signs certificates for tests (X.509, RFC 5280), without any program; good for a year before and after `now`. */
export function createAuthority(name: string, now = Date.now()): Authority {
  return authority(name, { from: new Date(now - YEAR_MS), to: new Date(now + YEAR_MS) });
}

function authority(name: string, validity: Validity, parent?: Signing, pathLength?: number | 'none'): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const self = { names: [name], key: keys.privateKey };
  const subject = {
    names: [name],
    key: keys.publicKey,
    validity,
    extension: pathLength === 'none' ? SUBJECT_NAMES : basicConstraints(pathLength),
  };
  return {
    certificate: toPem(certificate(subject, parent ?? self)),
    key: toText(keys.privateKey),
    issue(names, changed = {}) {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const leaf = {
        names: [names].flat(),
        key: pair.publicKey,
        validity: { ...validity, ...changed },
        extension: SUBJECT_NAMES,
      };
      return { certificate: toPem(certificate(leaf, self)), key: toText(pair.privateKey) };
    },
    under: (below, length) => authority(below, validity, self, length),
  };
}

interface Subject {
  readonly names: readonly string[];
  readonly key: KeyObject;
  readonly validity: Validity;
  readonly extension: Buffer;
}

let serial = Date.now();

function certificate(subject: Subject, issuer: Signing): Buffer {
  serial += 1;
  const body = sequence(
    tagged(0xa0, integer(2)),
    integer(serial),
    ECDSA_SHA256,
    toName(issuer.names),
    sequence(time(subject.validity.from), time(subject.validity.to)),
    toName(subject.names),
    subject.key.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(subject.extension)),
  );
  return sequence(body, ECDSA_SHA256, tagged(0x03, Buffer.of(0), sign('sha256', body, issuer.key)));
}

const SUBJECT_NAMES = sequence(
  identifier('551d11'),
  tagged(0x04, sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.of(127, 0, 0, 1)))),
);

function toText(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
