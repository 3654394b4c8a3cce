import type { Config, RouteConfig } from '../config/config.ts';
import { formatDuration } from '../admin/format.ts';
import { HOSTED } from '../metadata/records.ts';
import { printTable } from './table.ts';

/** The configuration as understood, in the words of the file, secrets hidden: `key: value` lines, nested by indentation. */
export function printConfig(config: Config): string {
  const shown = config.shown();
  return typeof shown === 'object' && shown !== null ? printObject({ ...shown }, '') : '';
}

function printObject(object: Record<string, unknown>, indent: string): string {
  return Object.entries(object)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      if (Array.isArray(value) && value.some(isSection)) return `${indent}${key}:\n${printSections(value, `${indent}  `)}`;
      return isSection(value) && Object.keys(value).length > 0
        ? `${indent}${key}:\n${printObject(value, `${indent}  `)}`
        : `${indent}${key}: ${scalar(value)}\n`;
    })
    .join('');
}

/** A list of sections as YAML has it, each behind its dash. */
function printSections(sections: readonly unknown[], indent: string): string {
  return sections
    .map((section) =>
      isSection(section) ? `${indent}- ${printObject(section, `${indent}  `).trimStart()}` : `${indent}- ${scalar(section)}\n`,
    )
    .join('');
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function scalar(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The route table: patterns, name, chain, how long a tag is believed, and where it stands; below it the lists that are too long. */
export function printRoutes(routes: readonly RouteConfig[]): string {
  const rows = routes.map((route) => [
    shortened(route.match),
    route.name,
    whoIsAsked(route),
    route.deny || route.policy.offline || isHostedAlone(route) ? '' : `tags ${formatDuration(route.policy.tagttl)}`,
    route.at,
  ]);
  const long = routes.filter(({ match }) => match.length > PATTERNS_MAX);
  const spelt = long.map(({ name, match }) => `\n${name}:\n${wrapped(match)}`).join('');
  return `${printTable([['ROUTE', 'NAME', 'UPSTREAMS', 'TTL', 'AT'], ...rows])}${spelt}`;
}

function whoIsAsked({ deny, policy, upstreams, push, shadow }: RouteConfig): string {
  if (deny) return 'denied';
  const takes = !push ? '' : shadow ? ' (push, shadow)' : ' (push)';
  const chain = upstreams.map((name) => (name === HOSTED ? `${HOSTED}${takes}` : name));
  if (!policy.offline) return chain.join(', ');
  return [...chain.filter((name) => name.startsWith(HOSTED)), 'offline'].join(', ');
}

function isHostedAlone({ upstreams }: RouteConfig): boolean {
  return upstreams.length === 1 && upstreams[0] === HOSTED;
}

/** In a row of the table. */
const PATTERNS_MAX = 4;

function shortened(patterns: readonly string[]): string {
  return patterns.length > PATTERNS_MAX ? `${patterns[0]} … ${patterns.length} patterns` : patterns.join(' ');
}

const LINE_LENGTH_MAX = 78;

function wrapped(words: readonly string[]): string {
  const lines: string[] = [];
  for (const word of words) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > LINE_LENGTH_MAX) lines.push(`  ${word}`);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.map((line) => `${line}\n`).join('');
}
