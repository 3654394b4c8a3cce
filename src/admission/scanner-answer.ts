import { own, readJsonObject } from '../oci/json.ts';
import { JudgeError, type Judgement } from './judge.ts';

/** `{"allow": true|false, "reason": "…"}` with status 200. Throws JudgeError for everything else: no is a word, not a failure. */
export function readAnswer({ status, body }: { readonly status: number; readonly body: Uint8Array }): Judgement {
  if (status !== 200) throw new JudgeError(`it answered with status ${status}`);
  const read = readJsonObject(body);
  if (read.kind === 'fault') throw new JudgeError(`its answer is no verdict: ${read.reason}`);
  const allow = own(read.value, 'allow');
  const reason = own(read.value, 'reason');
  if (typeof allow !== 'boolean') throw new JudgeError('its answer is no verdict: "allow" is neither true nor false');
  if (reason !== undefined && typeof reason !== 'string') throw new JudgeError('its answer is no verdict: "reason" is no text');
  return { kind: allow ? 'admitted' : 'refused', reason: reason ?? '' };
}
