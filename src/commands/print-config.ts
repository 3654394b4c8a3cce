import type { Config, RouteConfig } from '../config/config.ts';
import { formatDuration } from '../admin/format.ts';
import { printTable } from './table.ts';

/** The configuration as understood, in the words of the file, secrets hidden: `key: value` lines, nested by indentation. */
export function printConfig(config: Config): string {
  const shown: unknown = config.shown;
  return typeof shown === 'object' && shown !== null ? printObject({ ...shown }, '') : '';
}

function printObject(object: Record<string, unknown>, indent: string): string {
  return Object.entries(object)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const nested = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
      return nested
        ? `${indent}${key}:\n${printObject(value as Record<string, unknown>, `${indent}  `)}`
        : `${indent}${key}: ${scalar(value)}\n`;
    })
    .join('');
}

function scalar(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The route table: patterns, name, chain, how long a tag is believed, and where it stands. */
export function printRoutes(routes: readonly RouteConfig[]): string {
  const rows = routes.map((route) => [
    shortened(route.match),
    route.name,
    route.deny ? 'denied' : route.upstreams.join(', '),
    route.deny ? '' : `tags ${formatDuration(route.policy.tagttl)}`,
    route.at,
  ]);
  return printTable([['ROUTE', 'NAME', 'UPSTREAMS', 'TTL', 'AT'], ...rows]);
}

function shortened(patterns: readonly string[]): string {
  return patterns.length > 4 ? `${patterns.slice(0, 3).join(' ')} … ${patterns.length} patterns` : patterns.join(' ');
}
