import { createAdmissions, type Admission, type Answering } from '../../../src/admission/admission.ts';
import type { AdmissionEvent } from '../../../src/admission/events.ts';
import type { Entering, Judge, Judgement } from '../../../src/admission/judge.ts';
import { Ledger } from '../../../src/admission/ledger.ts';
import { Questions } from '../../../src/admission/questions.ts';
import { createRecords } from '../../../src/metadata/records.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { buildImage, type ManifestBlob } from '../../fakes/images.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

export const PLACE = { registry: 'docker.io', repository: 'library/alpine' };
export const HOLDER = 'docker.io/library/alpine';
export const yes: Judgement = { kind: 'admitted', reason: 'fine' };
export const no: Judgement = { kind: 'refused', reason: 'bad' };

/** Two images that share a layer, and have one of their own each; and an index of two platforms. */
export const one = buildImage({ label: 'one', layers: [1001, { a: 'shared' }] });
export const two = buildImage({ label: 'two', layers: [1002, { a: 'shared' }] });
export const index = buildImage({ label: 'index', layers: [1003], platforms: ['linux/amd64', 'linux/arm64'] });
export const shared = one.layers[1]!;

/** A judge that says what the script says, and by whom it was asked. */
export interface ScriptedJudge extends Judge {
  readonly asked: Digest[];
  says: (content: Entering) => Judgement | Promise<Judgement>;
}

export function judgeOf(more: Partial<Omit<Judge, 'judge'>> = {}): ScriptedJudge {
  const judge: ScriptedJudge = {
    name: 'admit',
    fingerprint: 'f',
    covers: 'itself',
    onError: 'refuse',
    ...more,
    asked: [],
    says: () => yes,
    async judge(content) {
      judge.asked.push(content.digest);
      return judge.says(content);
    },
  };
  return judge;
}

/** The rules of one route over metadata in memory. */
export function court() {
  const clock = createFakeClock();
  const metadata = createMemoryMetadata();
  const events: AdmissionEvent[] = [];
  const running: Promise<unknown>[] = [];
  const open = () => {
    const records = createRecords(metadata, { clock });
    const questions = new Questions(createSeededRandom(1));
    const admissions = createAdmissions({
      clock,
      ledger: new Ledger(records),
      questions,
      report: (event) => void events.push(event),
      signal: new AbortController().signal,
      track(work) {
        running.push(work.catch(() => undefined));
        return work;
      },
    });
    return { records, questions, of: (...judges: Judge[]) => admissions.of({ deny: [], judges }), admissions };
  };
  return { clock, metadata, events, open, ...open(), settled: () => Promise.all(running) };
}

export function answering({ digest, mediaType, bytes }: ManifestBlob, more: Partial<Answering> = {}): Answering {
  return { ...PLACE, tag: undefined, digest, mediaType, read: () => Promise.resolve(bytes), waitMs: 20_000, ...more };
}

/** `undefined`: it is served; else by whom it is refused, or the status and message of what is thrown. */
export async function pull(
  admission: Admission,
  manifest: ManifestBlob,
  signal = new AbortController().signal,
): Promise<unknown> {
  try {
    const refused = await admission.manifest(answering(manifest), signal);
    return refused && `${refused.judge}: ${refused.reason}`;
  } catch (error) {
    return thrown(error);
  }
}

export async function blob(admission: Admission, { digest }: { readonly digest: Digest }): Promise<unknown> {
  try {
    return (await admission.blob({ ...PLACE, digest }))?.judge;
  } catch (error) {
    return thrown(error);
  }
}

function thrown(error: unknown): string {
  if (!(error instanceof Error)) return 'no error';
  return 'status' in error ? `${String(error.status)} ${error.message}` : `${error.name} ${error.message}`;
}
