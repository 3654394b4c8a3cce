import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';

/** What a listener's certificate is made of; PEM texts. */
export interface CertificateTexts {
  readonly certificate: string;
  readonly key: string;
  readonly clientcas: readonly string[];
}

export interface CertificateFault {
  /** The key under `http.tls` whose file is wrong. */
  readonly key: 'certificate' | 'key' | 'clientcas';
  /** Which of several. */
  readonly index?: number;
  readonly expected: string;
}

/** What is wrong with them, alone or together; `undefined`: nothing. Says nothing of whether the certificate has run out. */
export function certificateFault({ certificate, key, clientcas }: CertificateTexts): CertificateFault | undefined {
  const first = parse(certificate);
  if (first === undefined) return { key: 'certificate', expected: 'expected a file in PEM form that holds a certificate' };
  const secret = parseKey(key);
  if (typeof secret === 'string') return { key: 'key', expected: secret };
  if (!first.checkPrivateKey(secret)) return { key: 'key', expected: 'expected the private key of http.tls.certificate' };
  const index = clientcas.findIndex(
    (text) => blocks(text).length === 0 || blocks(text).some((one) => parse(one) === undefined),
  );
  if (index >= 0) return { key: 'clientcas', index, expected: 'expected a file in PEM form that holds certificates' };
  return undefined;
}

/** From when and until when the first certificate of the text is valid, ms since the epoch. */
export function validityOf(certificate: string): { readonly from: number; readonly to: number } {
  const { validFrom, validTo } = new X509Certificate(certificate);
  return { from: Date.parse(validFrom), to: Date.parse(validTo) };
}

function blocks(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
}

function parse(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(text);
  } catch {
    // OpenSSL's words for it help nobody.
    return undefined;
  }
}

/** The key, or what is wrong with it. */
function parseKey(text: string): KeyObject | string {
  try {
    return createPrivateKey(text);
  } catch {
    return /ENCRYPTED/.test(text)
      ? 'expected a private key without a passphrase: openssl pkey -in KEY -out PLAIN takes it off'
      : 'expected a file in PEM form that holds a private key';
  }
}
