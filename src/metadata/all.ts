import type { Digest } from '../oci/digest.ts';
import { paged } from '../system/paged.ts';
import type { Records } from './records.ts';

/** With their registries. */
export const allRepositories = (records: Pick<Records, 'repositories'>) =>
  paged(
    (after: string | undefined, limit) => records.repositories(after, limit),
    (repository) => repository,
  );

/** Of a repository, whoever they came from. */
export const allTags = (records: Pick<Records, 'tags'>, repository: string) =>
  paged(
    (after: string | undefined, limit) => records.tags(repository, after, limit),
    ({ tag }) => tag,
  );

export const allHostedTags = (records: Pick<Records, 'hostedTags'>, repository: string) =>
  paged(
    (after: string | undefined, limit) => records.hostedTags(repository, after, limit),
    ({ tag }) => tag,
  );

export const allLinks = (records: Pick<Records, 'links'>, repository: string) =>
  paged(
    (after: string | undefined, limit) => records.links(repository, after, limit),
    ({ digest }) => digest,
  );

/** The repositories that a digest's reverse entries name: the link itself may be gone already, or not be there yet. */
export const allHolders = (records: Pick<Records, 'holders'>, digest: Digest) =>
  paged(
    (after: string | undefined, limit) => records.holders(digest, after, limit),
    (repository) => repository,
  );

export const allHostedDigests = (records: Pick<Records, 'hostedDigests'>) =>
  paged(
    (after: Digest | undefined, limit) => records.hostedDigests(after, limit),
    (digest) => digest,
  );

export const allUploads = (records: Pick<Records, 'uploads'>) =>
  paged(
    (after: string | undefined, limit) => records.uploads(after, limit),
    ({ cursor }) => cursor,
  );
