import type { Config, RouteConfig } from '../config/config.ts';
import { formatDuration } from '../admin/format.ts';
import { redactText } from '../observe/redact.ts';
import { printTable } from './table.ts';

/**
 * The configuration as understood, as plain JSON: maps become objects, secrets `***` (they hide themselves, and texts lose
 * what URLs and headers carry), `Infinity` *forever*.
 */
export function plainConfig(config: Config): unknown {
  const { watched: _watched, ...shown } = config;
  return plain(shown);
}

function plain(value: unknown): unknown {
  if (value === Infinity) return 'forever';
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if ('toJSON' in value && typeof value.toJSON === 'function') return (value.toJSON as () => unknown)();
  if (Array.isArray(value)) return value.map(plain);
  const entries: [unknown, unknown][] = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([key, item]) => [key, plain(item)]));
}

/** `key: value` lines, nested by indentation; what is not set is left out. */
export function printConfig(config: Config): string {
  return printObject(plainConfig(config) as Record<string, unknown>, '');
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
