import type { Report } from './events.ts';
import type { Fetch } from './handler.ts';
import { inDetail, type Readiness } from './probes.ts';
import { bytesReply, createRoutes, jsonReply, noEndpoint, type Answer, type Route } from './routes.ts';
import type { Sender } from './sender.ts';

/** EVERY route of the debug listener, `/metrics` at the path that is configured. */
const DEBUG_ROUTES = [
  { path: '/livez', access: 'open', name: 'livez' },
  { path: '/readyz', access: 'open', name: 'readyz' },
  { path: '/debug/health', access: 'debug', name: 'health' },
  { path: '/metrics', access: 'debug', name: 'metrics' },
] as const satisfies readonly Route[];

export interface DebugOptions {
  readonly send: Sender;
  readonly report: Report;
  readonly readiness: () => Readiness;
  /** What is wrong by the last look of each check, by the check's name; empty when all is well. */
  readonly health: () => Readonly<Record<string, string>>;
  /** What is down but does not make us unhealthy, an upstream; what is wrong with it by its name. */
  readonly down: () => Readonly<Record<string, string>>;
  /** `http.debug.prometheus`; `undefined`: not enabled. */
  readonly metrics: { readonly path: string; readonly read: () => Promise<MetricsText> } | undefined;
}

export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

export function createDebugApp(options: DebugOptions): Fetch {
  const { metrics } = options;
  const answers: Readonly<Record<(typeof DEBUG_ROUTES)[number]['name'], Answer | undefined>> = {
    livez: () => jsonReply(200, {}),
    readyz: () => inDetail(options.readiness()),
    health: () => healthReply(options.health(), options.down()),
    metrics:
      metrics &&
      (async () => {
        const { contentType, text } = await metrics.read();
        return bytesReply(200, contentType, Buffer.from(text));
      }),
  };
  const routes = DEBUG_ROUTES.flatMap((route) => {
    const answer = answers[route.name];
    return answer === undefined
      ? []
      : [{ ...route, path: route.name === 'metrics' ? (metrics?.path ?? route.path) : route.path, answer }];
  });
  return createRoutes({
    send: options.send,
    report: options.report,
    routes,
    otherwise: () => {
      throw noEndpoint();
    },
  });
}

/** As the official registry's: an empty object, or 503 and what each failing check said. Upstreams that are down are told of too. */
function healthReply(
  failing: Readonly<Record<string, string>>,
  down: Readonly<Record<string, string>>,
): ReturnType<typeof jsonReply> {
  return jsonReply(Object.keys(failing).length === 0 ? 200 : 503, { ...down, ...failing });
}
