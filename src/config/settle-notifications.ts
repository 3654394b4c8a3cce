import type { EndpointConfig, NotificationsConfig } from './config.ts';
import type { Written } from './schema.ts';
import type { Settling } from './settling.ts';
import type { Path } from './tree-path.ts';

type WrittenEndpoint = Written['notifications']['endpoints'][number];

/** The endpoints that are told something. */
export async function settleNotifications(written: Written['notifications'], work: Settling): Promise<NotificationsConfig> {
  const endpoints: EndpointConfig[] = [];
  for (const [index, endpoint] of written.endpoints.entries()) {
    const path = ['notifications', 'endpoints', index];
    const { name } = endpoint;
    const earlier = written.endpoints.findIndex((other) => other.name === name);
    if (earlier < index) work.fault([...path, 'name'], `expected another name: endpoint ${earlier + 1} is ${name} too`);
    if (!endpoint.disabled) endpoints.push(await settleEndpoint(endpoint, path, work));
  }
  return { includereferences: written.events.includereferences, endpoints };
}

async function settleEndpoint(written: WrittenEndpoint, path: Path, work: Settling): Promise<EndpointConfig> {
  const { name, url, headers, timeout, threshold, backoff, ignoredmediatypes, ignore } = written;
  return {
    name,
    url,
    headers,
    timeout,
    threshold,
    backoff,
    ignoredmediatypes: [...ignoredmediatypes, ...ignore.mediatypes],
    ignoredactions: ignore.actions,
    secret: await work.secret(written.secret, written.secretfile, path, 'secret'),
  };
}
