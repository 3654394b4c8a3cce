import { RegistryError } from '../../../src/oci/errors.ts';
import { UpstreamError } from '../../../src/upstream/upstream.ts';
import { answerText } from '../pull-image.ts';
import type { Check } from './check.ts';

const rejections: string[] = [];

/** Hears every rejection that nobody awaited, and every warning, from now on. */
export function listenForStrays(): void {
  process.on('unhandledRejection', (reason) => rejections.push(`unhandled rejection: ${textOf(reason)}`));
  process.on('warning', (warning) => rejections.push(`warning: ${textOf(warning)}`));
}

/** No promise is left alone, no warning given, and nothing fails for a mistake of ours. */
export const noStrays: Check = {
  of: 'I11',
  onStep: (world) => [...rejections.splice(0), ...mistakes(world.server.events)],
  onAnswer(world, answer) {
    const { status, why } = answer;
    if (isMistake(why)) return `${answerText(answer)}: ${textOf(why)}`;
    if (status !== 500 || !world.wasCalm(answer.startedAt)) return undefined;
    return why instanceof RegistryError || why instanceof UpstreamError ? undefined : `${answerText(answer)}: ${textOf(why)}`;
  },
  onPush(_world, { asked, answer: { why } }) {
    return isMistake(why) ? `${asked.method} ${asked.path}: ${textOf(why)}` : undefined;
  },
};

function mistakes(events: readonly object[]): string[] {
  return events.flatMap((event) =>
    'error' in event && isMistake(event.error) ? [`an event tells of ${textOf(event.error)}`] : [],
  );
}

function isMistake(error: unknown): boolean {
  return (
    error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError || error instanceof SyntaxError
  );
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
