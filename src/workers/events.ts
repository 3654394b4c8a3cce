/** What the primary tells of its workers. */
export type WorkersEvent =
  /** `how`: its exit code, or the signal. `pauseMs`: until the next one; `undefined`: there is none. */
  | {
      readonly kind: 'worker-ended';
      readonly worker: number;
      readonly pid: number;
      readonly how: number | string;
      /** Somebody had told this one to. */
      readonly leaving: boolean;
      /** In its own words. */
      readonly fault: string | undefined;
      readonly pauseMs: number | undefined;
    }
  /** In the place of one that had ended. */
  | { readonly kind: 'worker-started'; readonly worker: number; readonly pid: number };
