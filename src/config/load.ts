import type { Config } from "./config.ts";
export interface LoadOptions {
  /** CONFIG of the command line, if given. */
  readonly argument?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working directory, absolute. */
  readonly directory: string;
  /**
   * The text of a file, at most `bytesMax` of it plus one byte (so that more can be told); `undefined` when there is
   * none. Rejects when it cannot be read.
   */
  readonly readFile: (path: string, bytesMax: number) => Promise<string | undefined>;
}

/** Rejects with ConfigError and nothing else for whatever is wrong with file or environment. */
export type LoadConfig = (options: LoadOptions) => Promise<Config>;
