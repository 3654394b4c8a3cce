import type { Script } from '../../fakes/scripted-behaviour.ts';
import type { Blob } from '../../fakes/images.ts';
import type { ScriptedUpstream } from '../../fakes/scripted-upstream.ts';

/** What an upstream does with one GET of one object. Places are bytes of the body, or of the content for `flip`. */
export type Answer =
  | { readonly is: 'well' }
  /** Right, after so long. */
  | { readonly is: 'slow'; readonly ms: number }
  /** Right, without a length. */
  | { readonly is: 'unsized' }
  /** Right, whole, whatever range was asked for. */
  | { readonly is: 'ignores-range' }
  | { readonly is: 'cut'; readonly after: number; readonly how: 'fin' | 'rst' }
  /** A cut by a registry that has forgotten who was signed in. */
  | { readonly is: 'cut-forgotten'; readonly after: number }
  | { readonly is: 'stall'; readonly after: number }
  /** To an address that works once; `after`: where its body is cut. */
  | { readonly is: 'signed'; readonly after: number | undefined }
  /** To an address that has run out. */
  | { readonly is: 'expired' }
  | { readonly is: 'hang-up'; readonly how: 'fin' | 'rst' }
  | { readonly is: 'silent' }
  | { readonly is: 'status'; readonly code: number }
  | { readonly is: 'flip'; readonly at: number }
  | { readonly is: 'flip-cut'; readonly at: number; readonly after: number }
  /** The content with so many bytes more, or fewer. */
  | { readonly is: 'other-size'; readonly by: number }
  /** A Content-Length that is wrong by so much. */
  | { readonly is: 'lies'; readonly by: number }
  /** A 206 that begins elsewhere. */
  | { readonly is: 'shifted'; readonly by: number };

/** One answer after another; the last one stays. */
export type Answers = readonly [...Answer[], Answer];

/** Who answers: the registry, and a host of its own where its signed addresses lead. */
export interface Answering {
  readonly upstream: ScriptedUpstream;
  readonly signer: ScriptedUpstream;
}

/** Makes an upstream give these answers to the GETs of an object; `place`: beneath which its signed addresses are. */
export function teach(script: Script, answers: Answers, blob: Blob, answering: Answering, place: string): void {
  for (const [at, answer] of answers.entries()) {
    for (const step of stepsOf(answer, blob, answering, `/signed/${place}/${at}`)) {
      step(script).to('GET').after(at);
      // The last one has no end.
      if (at < answers.length - 1) script.once();
    }
  }
}

type Step = (script: Script) => Script;

function stepsOf(answer: Answer, blob: Blob, { upstream, signer }: Answering, address: string): Step[] {
  switch (answer.is) {
    case 'well':
      return [];
    case 'slow':
      return [(script) => script.delay(answer.ms)];
    case 'unsized':
      return [(script) => script.noLength()];
    case 'ignores-range':
      return [(script) => script.ignoreRange()];
    case 'cut':
      return [(script) => script.cutAfter(answer.after, answer.how)];
    case 'cut-forgotten': {
      const place = (): number => {
        upstream.auth.expireTokens();
        return answer.after;
      };
      return [(script) => script.cutAfter(place, 'fin')];
    }
    case 'stall':
      return [(script) => script.stallAfter(answer.after)];
    case 'signed': {
      // Each has an address of its own, so that the one before is good for nothing any more.
      let count = 0;
      return [
        (script) =>
          script.redirectTo(() => {
            const path = `${address}/${count++}`;
            const file = signer.file(path, blob);
            if (answer.after !== undefined) file.cutAfter(answer.after, 'fin').once();
            file.status(403).after(1);
            return `${signer.url}${path}`;
          }),
      ];
    }
    case 'expired':
      signer.file(address, blob).status(403);
      return [(script) => script.redirectTo(`${signer.url}${address}`)];
    case 'hang-up':
      return [(script) => script.hangUp(answer.how)];
    case 'silent':
      return [(script) => script.blackHole()];
    case 'status':
      return [(script) => script.status(answer.code)];
    case 'flip':
      return [(script) => script.flipByte(answer.at)];
    case 'flip-cut':
      return [(script) => script.flipByte(answer.at), (script) => script.cutAfter(answer.after, 'fin')];
    case 'other-size': {
      const bytes =
        answer.by > 0
          ? Buffer.concat([blob.bytes, Buffer.alloc(answer.by, 7)])
          : blob.bytes.subarray(0, answer.by || undefined);
      return [(script) => script.otherBytes(bytes)];
    }
    case 'lies':
      return [(script) => script.wrongLength(answer.by)];
    case 'shifted':
      return [(script) => script.wrongRange({ start: answer.by })];
  }
}

export function answerText(answer: Answer): string {
  const { is, ...rest } = answer;
  const places = Object.entries(rest).map(([name, value]) => `${name}=${value ?? 'none'}`);
  return [is, ...places].join(' ');
}
