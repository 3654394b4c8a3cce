import { ClientConfigurationError, type ClientOptions } from './configuration.ts';
import { parseUrl as readUrl } from '../../oci/url.ts';

/** The mirror's address, taken apart for the spellings that clients want. */
export interface Mirror {
  /** `http://mirror:5000`, with the path if there is one, without a slash at its end. */
  readonly url: string;
  /** `mirror:5000`, without the scheme's usual port. */
  readonly authority: string;
  /** `/cache`, or empty. */
  readonly path: string;
  readonly http: boolean;
  /** 127.0.0.0/8, ::1 or localhost: what clients take for insecure by themselves. */
  readonly loopback: boolean;
  readonly registries: readonly string[];
  readonly only: boolean;
}

export function readMirror(options: ClientOptions): Mirror {
  const url = parseUrl(options.url);
  const path = url.pathname.replace(/\/+$/, '');
  if (options.registries.length === 0) {
    const example = `docker pull ${url.host}/NAME`;
    throw new ClientConfigurationError(`this server mirrors nothing, so that no client need know it as a mirror: ${example}`);
  }
  return {
    url: `${url.protocol}//${url.host}${path}`,
    authority: url.host,
    path,
    http: url.protocol === 'http:',
    loopback: isLoopback(url.hostname),
    registries: options.registries,
    only: options.only,
  };
}

function parseUrl(text: string): URL {
  const url = readUrl(text);
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new ClientConfigurationError(
      `"${text}" is no address of a mirror: write it as https://mirror.example.test or http://HOST:PORT`,
    );
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new ClientConfigurationError(
      'the address of a mirror has no user, query or fragment: give scheme, host and port alone',
    );
  }
  // What goes into quoted strings of TOML, JSON and YAML must not need escaping there.
  if (!/^[a-z0-9.:[\]-]+$/i.test(url.host) || !/^[\w./~-]*$/.test(url.pathname)) {
    throw new ClientConfigurationError(`"${text}" holds characters that no client takes in the address of a mirror`);
  }
  return url;
}

/** 127.0.0.0/8, ::1 and localhost. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

/** The name by which everybody can try a registry; none of Docker Hub's is surer to exist. */
export function exampleImage(registries: readonly string[]): string {
  if (registries.includes('docker.io')) return 'docker.io/library/alpine:latest';
  if (registries.includes('registry.k8s.io')) return 'registry.k8s.io/pause:3.10';
  return `${registries[0] ?? 'docker.io'}/REPOSITORY:TAG`;
}
