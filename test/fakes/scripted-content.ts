import type { Digest } from '../../src/oci/digest.ts';
import type { Blob, ManifestBlob } from './images.ts';
import { createScript, type ScriptWithSteps } from './scripted-behaviour.ts';
import type { Asked } from './scripted-request.ts';

interface Repository {
  readonly blobs: Map<string, { readonly blob: Blob; readonly script: ScriptWithSteps }>;
  readonly manifests: Map<string, { readonly manifest: ManifestBlob; readonly script: ScriptWithSteps }>;
  readonly tags: Map<string, Digest>;
  /** Subject → descriptors of what refers to it. */
  readonly referrers: Map<string, Record<string, unknown>[]>;
}

/** What the registry holds, by repository. */
export interface Content {
  repository(name: string): Repository | undefined;
  repositories(): string[];
  addBlob(repository: string, blob: Blob): ScriptWithSteps;
  addManifest(repository: string, manifest: ManifestBlob, tag?: string): ScriptWithSteps;
  /** Outside the API: what a content network holds. */
  addFile(path: string, blob: Blob): ScriptWithSteps;
  addReferrer(repository: string, subject: Digest, descriptor: Record<string, unknown>): void;
  tag(repository: string, tag: string, digest: Digest): void;
  /** A tag, a manifest or a blob. */
  remove(repository: string, reference: string): void;
  find(asked: Asked): { readonly blob: Blob; readonly mediaType: string; readonly script: ScriptWithSteps } | undefined;
}

export function createContent(): Content {
  const held = new Map<string, Repository>();
  const files = new Map<string, { readonly blob: Blob; readonly script: ScriptWithSteps }>();
  const opened = (name: string): Repository => {
    const found = held.get(name) ?? { blobs: new Map(), manifests: new Map(), tags: new Map(), referrers: new Map() };
    held.set(name, found);
    return found;
  };

  return {
    repository: (name) => held.get(name),
    repositories: () => [...held.keys()].toSorted(),
    addBlob(repository, blob) {
      const { blobs } = opened(repository);
      const entry = { blob, script: blobs.get(blob.digest)?.script ?? createScript() };
      blobs.set(blob.digest, entry);
      return entry.script;
    },
    addManifest(repository, manifest, tag) {
      const { manifests, tags } = opened(repository);
      const entry = { manifest, script: manifests.get(manifest.digest)?.script ?? createScript() };
      manifests.set(manifest.digest, entry);
      if (tag !== undefined) tags.set(tag, manifest.digest);
      return entry.script;
    },
    addFile(path, blob) {
      const entry = { blob, script: createScript() };
      files.set(path, entry);
      return entry.script;
    },
    addReferrer(repository, subject, descriptor) {
      const { referrers } = opened(repository);
      referrers.set(subject, [...(referrers.get(subject) ?? []), descriptor]);
    },
    tag: (repository, tag, digest) => void opened(repository).tags.set(tag, digest),
    remove(repository, reference) {
      const { blobs, manifests, tags } = opened(repository);
      blobs.delete(reference);
      manifests.delete(reference);
      tags.delete(reference);
    },
    find({ kind, repository, reference }) {
      if (kind === 'file') {
        const found = files.get(reference);
        return found && { ...found, mediaType: 'binary/octet-stream' };
      }
      const there = held.get(repository);
      if (kind === 'blob') {
        const found = there?.blobs.get(reference);
        return found && { ...found, mediaType: 'application/octet-stream' };
      }
      const found = there?.manifests.get(there.tags.get(reference) ?? reference);
      return found && { blob: found.manifest, mediaType: found.manifest.mediaType, script: found.script };
    },
  };
}
