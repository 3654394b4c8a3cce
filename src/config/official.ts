import { treeAt } from './tree-path.ts';
import type { Tree } from './tree.ts';
import { parseFlag } from './units.ts';
import type { Row } from './verdict.ts';

const isText =
  (...texts: readonly string[]) =>
  (value: Tree): boolean =>
    value.kind === 'scalar' && texts.includes(value.text?.toLowerCase() ?? '');
const isOff = (value: Tree): boolean => value.kind === 'scalar' && parseFlag(value.text ?? '') === false;
const withoutRedis = (_: Tree, whole: Tree): boolean => {
  const metadata = treeAt(whole, ['metadata']);
  return metadata === undefined || !isText('redis')(metadata);
};

const driver = 'is not built: the storage is storage.filesystem';
const pool = 'one connection carries all requests';

/**
 * Every key of the official registry's configuration (0.1), of 2.8 and of 3.x, and what becomes of it. An existing file
 * of a mirror loads as it is; whatever would surprise if it were ignored is refused. A test walks through both full
 * references and finds each key here.
 */
export const official: readonly Row[] = [
  { key: 'version', verdict: 'used', why: '' },
  { key: 'log.level', verdict: 'used', why: '' },
  { key: 'log.formatter', verdict: 'used', why: '`logstash` is read as `json`, with a warning' },
  { key: 'log.fields', verdict: 'used', why: '' },
  { key: 'log.accesslog.disabled', verdict: 'used', why: '' },
  { key: 'log.hooks', verdict: 'harmless', why: 'no mail is sent; alert on the metrics instead' },
  { key: 'log.reportcaller', verdict: 'harmless', why: 'records name no source lines' },
  { key: 'loglevel', verdict: 'used', why: 'the old name of log.level, with a warning' },

  { key: 'storage.filesystem.rootdirectory', verdict: 'used', why: '' },
  { key: 'storage.filesystem.maxthreads', verdict: 'harmless', why: 'files are read and written by a pool of its own size' },
  ...['azure', 'gcs', 's3', 's3aws', 'swift', 'oss', 'inmemory'].map((name): Row => ({
    key: `storage.${name}`,
    verdict: 'refused',
    why: driver,
    evenEmpty: true,
  })),
  { key: 'storage.cache', verdict: 'harmless', why: 'what is asked often is kept in memory anyway' },
  { key: 'storage.tag', verdict: 'harmless', why: 'tags are looked up, not listed from disk' },
  { key: 'storage.redirect', verdict: 'harmless', why: 'blobs are always sent by this server' },
  { key: 'storage.delete.enabled', verdict: 'used', why: '' },
  { key: 'storage.maintenance.uploadpurging.enabled', verdict: 'used', why: '' },
  { key: 'storage.maintenance.uploadpurging.age', verdict: 'used', why: '' },
  { key: 'storage.maintenance.uploadpurging.interval', verdict: 'used', why: '' },
  { key: 'storage.maintenance.uploadpurging.dryrun', verdict: 'used', why: '' },
  { key: 'storage.maintenance.readonly.enabled', verdict: 'used', why: '' },
  {
    key: 'storage.maintenance',
    verdict: 'refused',
    why: 'expected uploadpurging or readonly below it',
    when: (value) => value.kind !== 'section',
  },

  { key: 'auth.silly', verdict: 'refused', why: 'is no authentication at all, and is not built' },
  { key: 'auth.htpasswd.realm', verdict: 'used', why: '' },
  { key: 'auth.htpasswd.path', verdict: 'used', why: '' },
  { key: 'auth.token.realm', verdict: 'used', why: '' },
  { key: 'auth.token.service', verdict: 'used', why: '' },
  { key: 'auth.token.issuer', verdict: 'used', why: '' },
  { key: 'auth.token.rootcertbundle', verdict: 'used', why: '' },
  { key: 'auth.token.jwks', verdict: 'used', why: '' },
  { key: 'auth.token.signingalgorithms', verdict: 'used', why: '' },
  { key: 'auth.token.autoredirect', verdict: 'used', why: '' },
  { key: 'middleware', verdict: 'refused', why: 'is not built: there is nothing that its code could be loaded into' },
  { key: 'policy', verdict: 'refused', why: 'is not built: use routes with deny: true' },

  { key: 'reporting', verdict: 'harmless', why: 'nothing is reported to others' },
  { key: 'compatibility', verdict: 'harmless', why: 'manifests are never converted' },
  { key: 'validation.enabled', verdict: 'used', why: '' },
  { key: 'validation.disabled', verdict: 'used', why: '' },
  { key: 'validation.manifests.urls.allow', verdict: 'used', why: '' },
  { key: 'validation.manifests.urls.deny', verdict: 'used', why: '' },
  { key: 'validation.manifests.indexes.platforms', verdict: 'used', why: '' },
  { key: 'validation.manifests.indexes.platformlist', verdict: 'used', why: '' },
  { key: 'catalog', verdict: 'harmless', why: 'pages have one limit for all' },
  { key: 'tags', verdict: 'harmless', why: 'pages have one limit for all' },

  { key: 'http.addr', verdict: 'used', why: '' },
  { key: 'http.net', verdict: 'used', why: '', when: isText('tcp') },
  { key: 'http.net', verdict: 'refused', why: 'is not built for anything but tcp' },
  { key: 'http.prefix', verdict: 'used', why: '' },
  { key: 'http.host', verdict: 'used', why: '' },
  { key: 'http.secret', verdict: 'harmless', why: 'uploads are remembered in the metadata, and need no key' },
  { key: 'http.relativeurls', verdict: 'harmless', why: 'links are always relative' },
  { key: 'http.draintimeout', verdict: 'used', why: '' },
  { key: 'http.tls.certificate', verdict: 'used', why: '' },
  { key: 'http.tls.key', verdict: 'used', why: '' },
  { key: 'http.tls.clientcas', verdict: 'used', why: '' },
  { key: 'http.tls.clientauth', verdict: 'used', why: '' },
  { key: 'http.tls.minimumtls', verdict: 'used', why: '' },
  { key: 'http.tls.ciphersuites', verdict: 'used', why: '' },
  {
    key: 'http.tls.letsencrypt',
    verdict: 'refused',
    why: 'is not built: let Caddy in front fetch and renew the certificate, as in deploy/caddy',
  },
  { key: 'http.debug.addr', verdict: 'used', why: '' },
  { key: 'http.debug.prometheus.enabled', verdict: 'used', why: '' },
  { key: 'http.debug.prometheus.path', verdict: 'used', why: '' },
  { key: 'http.headers', verdict: 'used', why: '' },
  { key: 'http.http2.disabled', verdict: 'used', why: '' },
  { key: 'http.h2c.enabled', verdict: 'used', why: '', when: isOff },
  { key: 'http.h2c', verdict: 'refused', why: 'is not built: HTTP/2 is spoken over TLS alone' },

  { key: 'notifications.events.includereferences', verdict: 'used', why: '' },
  { key: 'notifications.endpoints', verdict: 'used', why: '' },

  { key: 'redis', verdict: 'harmless', why: 'it is used with metadata: redis alone', when: withoutRedis },
  { key: 'redis.addr', verdict: 'used', why: '' },
  { key: 'redis.addrs', verdict: 'used', why: '' },
  { key: 'redis.username', verdict: 'used', why: '' },
  { key: 'redis.password', verdict: 'used', why: '' },
  { key: 'redis.db', verdict: 'used', why: '' },
  { key: 'redis.tls.enabled', verdict: 'used', why: '' },
  { key: 'redis.tls.certificate', verdict: 'used', why: '' },
  { key: 'redis.tls.key', verdict: 'used', why: '' },
  { key: 'redis.tls.rootcas', verdict: 'used', why: '' },
  ...['dialtimeout', 'readtimeout', 'writetimeout', 'contexttimeoutenabled'].map((name): Row => ({
    key: `redis.${name}`,
    verdict: 'harmless',
    why: 'its time limits are built in',
  })),
  ...[
    'pool',
    'maxidleconns',
    'minidleconns',
    'maxactiveconns',
    'poolsize',
    'poolfifo',
    'pooltimeout',
    'connmaxidletime',
    'connmaxlifetime',
  ].map((name): Row => ({ key: `redis.${name}`, verdict: 'harmless', why: pool })),
  ...['maxretries', 'minretrybackoff', 'maxretrybackoff', 'maxredirects'].map((name): Row => ({
    key: `redis.${name}`,
    verdict: 'harmless',
    why: 'how it is tried again is built in',
  })),
  ...['clientname', 'protocol', 'disableidentity', 'identitysuffix', 'unstableresp3'].map((name): Row => ({
    key: `redis.${name}`,
    verdict: 'harmless',
    why: 'the server is told nothing about its client',
  })),
  ...['readonly', 'routebylatency', 'routerandomly'].map((name): Row => ({
    key: `redis.${name}`,
    verdict: 'harmless',
    why: 'replicas are never read from',
  })),
  ...['mastername', 'sentinelusername', 'sentinelpassword'].map((name): Row => ({
    key: `redis.${name}`,
    verdict: 'refused',
    why: 'is not built: name the server itself, or the nodes of a cluster, in redis.addrs',
  })),

  { key: 'health.storagedriver', verdict: 'used', why: '' },
  { key: 'health.file', verdict: 'used', why: '' },
  { key: 'health.http', verdict: 'used', why: '' },
  { key: 'health.tcp', verdict: 'used', why: '' },

  { key: 'proxy.remoteurl', verdict: 'used', why: '' },
  { key: 'proxy.username', verdict: 'used', why: '' },
  { key: 'proxy.password', verdict: 'used', why: '' },
  { key: 'proxy.ttl', verdict: 'used', why: '' },
  { key: 'proxy.cachewritetimeout', verdict: 'harmless', why: 'a fill goes on for as long as bytes come' },
  { key: 'proxy.exec', verdict: 'refused', why: 'is not built yet: write proxy.username and proxy.passwordfile' },
];

/** Keys that are accepted without effect. */
export const harmlessKeys: readonly string[] = official.flatMap(({ key, verdict }) =>
  verdict === 'harmless' && key !== 'redis' && !key.includes('*') ? [key] : [],
);
