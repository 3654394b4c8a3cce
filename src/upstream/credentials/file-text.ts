import { textFile, type TextFileDeps } from '../../system/text-file.ts';
import { CredentialsUnavailable } from '../credentials.ts';

/** The text of a file as it is now. */
export type FileText = () => Promise<string>;

export type FileTextDeps = TextFileDeps;

/**
 * A file that is read again when it changes. While it cannot be read, or is empty because somebody is writing it, the text
 * before that stands. Rejects with CredentialsUnavailable when there is none.
 */
export function fileText(path: string, deps: FileTextDeps): FileText {
  const look = textFile(path, deps);
  return async () => {
    const { text, trouble } = await look();
    if (text !== undefined) return text;
    throw new CredentialsUnavailable(`${path} cannot be read (${trouble ?? 'unknown'})`);
  };
}

/** A secret that stands in a file alone: the line end that editors leave is not part of it. */
export function fileSecret(path: string, deps: FileTextDeps): FileText {
  const text = fileText(path, deps);
  return async () => (await text()).replace(/\r?\n$/, '');
}
