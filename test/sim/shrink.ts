import type { History } from './history.ts';
import { play } from './play.ts';
import type { Step } from './step.ts';

/** Plays of one shrinking: enough for what people want to read. */
const PLAYS_MAX = 400;

/** Fewer steps with the same kind of fault: takes out halves, quarters … single steps, as long as it still fails. */
export async function shrink(history: History): Promise<History> {
  const kind = kindOf((await play(history)).faults);
  let steps: readonly Step[] = history.steps;
  let plays = 0;
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < steps.length && plays < PLAYS_MAX;) {
      const fewer = [...steps.slice(0, at), ...steps.slice(at + size)];
      plays += 1;
      if (kindOf((await play({ ...history, steps: fewer })).faults) === kind) steps = fewer;
      else at += size;
    }
  }
  return { ...history, steps };
}

/** The promise that it breaks. */
function kindOf(faults: readonly string[]): string | undefined {
  return faults[0]?.split(']')[0];
}
