/** What this room reports; `compose.ts` turns it into log records and metrics. */
export type AdmissionEvent = JudgedEvent | JudgeFailedEvent | JudgeAnswersEvent | LetInAnywayEvent;

export type ReportAdmission = (event: AdmissionEvent) => void;

interface OfJudge {
  readonly judge: 'digests' | 'signed' | 'admit';
  /** Tells two of the same name apart. */
  readonly fingerprint: string;
}

/** Something was asked and answered; what is kept is not told again. */
export interface JudgedEvent extends OfJudge {
  readonly kind: 'judged';
  readonly repository: string;
  readonly digest: string;
  readonly admitted: boolean;
  readonly reason: string;
}

/** Nothing could be found out. */
export interface JudgeFailedEvent extends OfJudge {
  readonly kind: 'judge-failed';
  readonly error: unknown;
}

/** It can be asked. */
export interface JudgeAnswersEvent extends OfJudge {
  readonly kind: 'judge-answers';
}

/** It could not be asked, and the route says that content is then let in (`onerror: allow`). */
export interface LetInAnywayEvent extends OfJudge {
  readonly kind: 'let-in-anyway';
  readonly repository: string;
  readonly digest: string;
}
