import type { Explanation } from '../admin/explain.ts';
import type { TagHistory } from '../admin/history.ts';
import { formatBytes, formatDuration } from '../admin/format.ts';
import type { HeldImage, HeldTag } from '../admin/held.ts';
import { HOSTED } from '../metadata/records.ts';
import { printTable } from './table.ts';

export function printExplanation(explained: Explanation): string {
  const { registry, repository, reference, route } = explained;
  const image = `${registry}/${repository}${reference.includes(':') ? '@' : ':'}${reference}`;
  const parts = [
    `${image}\n${explained.steps.map((step) => `  ${step}\n`).join('')}`,
    route === undefined
      ? 'route: none matches: a pull is answered 404, and nobody is asked\n'
      : `route: ${route.name}${route.at === undefined ? '' : ` (${route.at})`}${whoIsAsked(route)}\n${printHosted(explained)}`,
    explained.answers.length === 0 ? '' : printAnswers(explained),
    printHeld(explained.held),
    printHistory(explained.history),
    printVerdicts(explained),
    explained.maxAgeMs === undefined ? '' : `goes when it was not used for ${formatDuration(explained.maxAgeMs)}\n`,
    explained.pinned.map(({ text, by }) => `pinned by ${text}, by ${by}: it is never evicted\n`).join(''),
    `may pull: ${explained.access}\n`,
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function whoIsAsked({ deny, offline, chain }: NonNullable<Explanation['route']>): string {
  if (deny) return ', denied';
  if (!offline) return `: ${chain.join(', ')}`;
  return ', offline: nobody is asked, and only what is held is served';
}

function printHosted({ hosted, route }: Explanation): string {
  if (hosted === undefined || route === undefined) return '';
  const pushes = route.push ? 'takes pushes' : 'takes no pushes';
  if (hosted.by !== undefined) {
    const how = hosted.by === 'push' ? 'pushed' : 'imported';
    return `hosted: ${how} here since ${hosted.since}: nobody else answers for it; ${pushes}\n`;
  }
  const others = route.chain.length > 1 ? 'the others of the chain answer for it' : 'nobody answers for it';
  return `hosted: nothing was pushed under this name: ${others}; ${pushes}\n`;
}

function printAnswers({ answers }: Explanation): string {
  const rows = answers.map(({ upstream, answer, digest, message, ms }) => [
    upstream,
    answer,
    digest ?? message ?? '',
    `${ms} ms`,
  ]);
  return printTable([['UPSTREAM', 'SAYS NOW', '', ''], ...rows]);
}

function printHeld(held: HeldImage): string {
  if (held.digest === undefined) return 'held: nothing\n';
  const lines = [
    `held: ${held.manifestHeld ? held.digest : `not the manifest ${held.digest}`}`,
    ...(held.tag === undefined ? [] : [`  ${tagLine(held.tag)}`]),
    `  ${formatBytes(held.bytes)}, last used ${held.lastUse ?? 'never'}, the repository was pulled ${held.pulls} times`,
  ];
  const rows = held.platforms.map(({ platform, digest, manifestHeld, blobs, missing }) => [
    `  ${platform}`,
    digest,
    manifestHeld
      ? missing.length === 0
        ? `whole, ${blobs} blobs`
        : `${missing.length} of ${blobs} blobs missing`
      : 'not held',
  ]);
  return `${lines.join('\n')}\n${printTable(rows)}`;
}

function printHistory(history: TagHistory | undefined): string {
  if (history === undefined || history.moves.length === 0) return '';
  const { moves, more, since, released, answer } = history;
  const rows = moves.map(({ at, digest, upstream, deleted }) => [at, digest, deleted ? 'deleted' : `as ${upstream} said`]);
  const rest = more === 0 ? '' : `and ${more} moves before, since ${since}\n`;
  const letGo = released === undefined ? '' : `released by hand at ${released.at}: ${released.digest}\n`;
  return `${printTable([['THE TAG MOVED', 'TO', ''], ...rows])}${rest}${letGo}${answerLine(answer)}`;
}

function printVerdicts({ verdicts }: Explanation): string {
  if (verdicts.length === 0) return '';
  const rows = verdicts.map(({ judge, admitted, digest, reason, at }) => [
    judge,
    admitted === undefined ? 'nothing yet' : admitted ? 'let in' : 'refused',
    digest,
    `${reason}${at === undefined ? '' : `, ${at}`}`,
  ]);
  return printTable([['JUDGE', 'SAYS', 'OF', ''], ...rows]);
}

function answerLine(answer: TagHistory['answer']): string {
  if (answer === undefined) return '';
  const why = answer.why === 'asof' ? 'as of its date' : 'by its cooldown';
  if (answer.digest !== undefined) return `answered ${why} with ${answer.digest}\n`;
  return `answered ${why} with 404${answer.until === undefined ? '' : ` until ${answer.until}`}\n`;
}

function tagLine(tag: HeldTag): string {
  const ttl =
    tag.ttlMs === undefined
      ? ''
      : tag.ttlMs > 0
        ? `, asked again in ${formatDuration(tag.ttlMs)}`
        : `, stale for ${formatDuration(-tag.ttlMs)}`;
  const failed = tag.failed === undefined ? '' : `, asking failed at ${tag.failed}`;
  const gone = tag.gone === undefined ? '' : `, gone upstream since ${tag.gone}`;
  if (tag.upstream === HOSTED) return `tag pushed ${formatDuration(tag.ageMs)} ago`;
  return `tag as ${tag.upstream} said ${formatDuration(tag.ageMs)} ago${ttl}${failed}${gone}`;
}
