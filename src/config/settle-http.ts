import { certificateFault } from './certificate.ts';
import { CIPHER_SUITES } from './cipher-suites.ts';
import type { HttpConfig, HttpTlsConfig } from './config.ts';
import type { Written } from './schema.ts';
import type { Settling } from './settling.ts';

export async function settleHttp(written: Written['http'], work: Settling): Promise<HttpConfig> {
  const { addr, prometheus } = written.debug;
  const tls = await settleTls(written.tls, work);
  const http2 = !written.http2.disabled;
  if (http2 && tls === undefined)
    work.warnings.push('http.http2 has no effect here: HTTP/2 is spoken over TLS, and http.tls names no certificate');
  return {
    addr: written.addr,
    host: written.host,
    trustedproxies: written.trustedproxies,
    prefix: written.prefix ?? '',
    headers: new Map([...written.headers].map(([name, values]) => [name.toLowerCase(), values])),
    tls,
    http2: http2 && tls !== undefined,
    debug: addr === undefined ? undefined : { addr, metricsPath: prometheus.enabled ? prometheus.path : undefined },
    draintimeout: written.draintimeout,
    stalltimeout: written.stalltimeout,
  };
}

type WrittenTls = Written['http']['tls'];

const PATH = ['http', 'tls'];

const MINIMUM = { 'tls1.0': 'TLSv1', 'tls1.1': 'TLSv1.1', 'tls1.2': 'TLSv1.2', 'tls1.3': 'TLSv1.3' } as const;

async function settleTls(written: WrittenTls, work: Settling): Promise<HttpTlsConfig | undefined> {
  const { certificate, key, clientcas, clientauth } = written;
  const said = [certificate, key, clientauth, clientcas[0], written.ciphersuites[0]].some((value) => value !== undefined);
  if (certificate === undefined || key === undefined)
    return said ? work.fault(PATH, 'expected certificate and key together') : undefined;
  if (clientauth !== undefined && clientcas.length === 0)
    work.fault([...PATH, 'clientauth'], 'expected clientcas besides: who vouches for clients');
  await readTls({ certificate, key, clientcas }, work);
  return {
    certificate: work.absolute(certificate),
    key: work.absolute(key),
    clientcas: clientcas.map((file) => work.absolute(file)),
    clientauth: clientcas.length === 0 ? undefined : (clientauth ?? 'require-and-verify-client-cert'),
    ...protocols(written, work),
  };
}

/** Looks at the files as they are now; the listener reads them itself, again and again. */
async function readTls(files: Pick<HttpTlsConfig, 'certificate' | 'key' | 'clientcas'>, work: Settling): Promise<void> {
  const certificate = await work.readAgain(files.certificate, [...PATH, 'certificate']);
  const key = await work.readAgain(files.key, [...PATH, 'key']);
  const authorities = await Promise.all(
    files.clientcas.map((file, index) => work.readAgain(file, [...PATH, 'clientcas', index])),
  );
  const clientcas = authorities.filter((text) => text !== undefined);
  if (certificate === undefined || key === undefined || clientcas.length < authorities.length) return;
  const fault = certificateFault({ certificate, key, clientcas });
  if (fault !== undefined)
    work.fault([...PATH, fault.key, ...(fault.index === undefined ? [] : [fault.index])], fault.expected);
}

/** Suites of TLS 1.3 are always offered; where no other is named, that version is the minimum, as there. */
function protocols({ minimumtls, ciphersuites }: WrittenTls, work: Settling): Pick<HttpTlsConfig, 'ciphers' | 'minimum'> {
  const minimum = MINIMUM[minimumtls];
  const older = ciphersuites.flatMap((name) => CIPHER_SUITES.get(name) ?? []);
  if (ciphersuites.length === 0) return { minimum, ciphers: undefined };
  if (minimum === 'TLSv1.3')
    work.warnings.push('http.tls.ciphersuites has no effect here: those of TLS 1.3 are not chosen one by one');
  return older.length === 0 ? { minimum: 'TLSv1.3', ciphers: undefined } : { minimum, ciphers: older.join(':') };
}
