import { resolve } from 'node:path';
import type { TlsConfig } from './config.ts';
import type { Fault } from './fault.ts';
import { Secret } from './secret.ts';
import { faultAt, placeAt, writtenPath, type Path } from './tree-path.ts';
import type { Tree } from './tree.ts';
import { fingerprint } from './watch.ts';

/** Secrets and certificates are small; more is a mistake. */
const TEXT_BYTES_MAX = 1_048_576;

/** A file's text, of which no more than a little over `bytesMax` need be read. */
export type ReadFile = (path: string, bytesMax: number) => Promise<string | undefined>;

/** The work of turning what is written into a Config: where things stood, what is wrong, which files were read. */
export class Settling {
  readonly faults: Fault[] = [];
  readonly warnings: string[] = [];
  readonly watched = new Map<string, string>();
  readonly tree: Tree;
  readonly directory: string;
  readonly #readFile: ReadFile;

  constructor(tree: Tree, directory: string, readFile: ReadFile) {
    this.tree = tree;
    this.directory = directory;
    this.#readFile = readFile;
  }

  fault(where: Path, expected: string, suggestion?: string): undefined {
    const path = writtenPath(this.tree, where);
    this.faults.push(faultAt(placeAt(this.tree, path), path, expected, suggestion));
    return undefined;
  }

  absolute(path: string): string {
    return resolve(this.directory, path);
  }

  /** The text of a file that the configuration names at `path`; a fault and `undefined` if there is none. */
  async read(file: string | undefined, path: Path): Promise<string | undefined> {
    if (file === undefined) return undefined;
    const absolute = this.absolute(file);
    this.watched.set(absolute, fingerprint(undefined));
    try {
      const text = await this.#readFile(absolute, TEXT_BYTES_MAX);
      this.watched.set(absolute, fingerprint(text));
      if (text === undefined) return this.fault(path, `expected a file, but there is no ${absolute}`);
      if (Buffer.byteLength(text) > TEXT_BYTES_MAX) return this.fault(path, `expected a file of at most 1 MiB at ${absolute}`);
      return text;
    } catch (error) {
      const code = (error as { code?: unknown } | undefined)?.code;
      return this.fault(path, `expected a file that can be read at ${absolute}${typeof code === 'string' ? ` (${code})` : ''}`);
    }
  }

  /** A secret that is written, or stands in a file; the line end that editors leave is not part of it. */
  async secret(written: Secret | undefined, file: string | undefined, path: Path, key: string): Promise<Secret | undefined> {
    if (file === undefined) return written;
    if (written !== undefined) return this.fault([...path, `${key}file`], `expected either ${key} or ${key}file, not both`);
    const text = (await this.read(file, [...path, `${key}file`]))?.replace(/\r?\n$/, '');
    return text === ''
      ? this.fault([...path, `${key}file`], 'expected a secret in that file, which is empty')
      : (text && new Secret(text)) || undefined;
  }

  /** As {@link read}, for a file that is read again by whoever uses it: its change asks for no reload. */
  async readAgain(file: string, path: Path): Promise<string | undefined> {
    const text = await this.read(file, path);
    if (text !== undefined) this.readsAgain(file);
    return text;
  }

  /** This file's change asks for no reload. */
  readsAgain(file: string): void {
    this.watched.delete(this.absolute(file));
  }

  async tls(written: WrittenTls | undefined, path: Path): Promise<TlsConfig | undefined> {
    if (written === undefined) return undefined;
    const ca = await this.#pem(written.ca, [...path, 'ca'], 'CERTIFICATE');
    const certificate = await this.#pem(written.certificate, [...path, 'certificate'], 'CERTIFICATE');
    const key = await this.#pem(written.key, [...path, 'key'], 'KEY');
    if ((written.certificate === undefined) !== (written.key === undefined)) {
      this.fault(path, 'expected certificate and key together');
    }
    return { ca, certificate, key: key === undefined ? undefined : new Secret(key), skipverify: written.skipverify ?? false };
  }

  async #pem(file: string | undefined, path: Path, label: string): Promise<string | undefined> {
    const text = await this.read(file, path);
    if (text === undefined || new RegExp(`-----BEGIN [A-Z0-9 ]*${label}-----`).test(text)) return text;
    return this.fault(path, `expected a file in PEM form that holds a ${label.toLowerCase()}`);
  }
}

export interface WrittenTls {
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly skipverify?: boolean;
}
