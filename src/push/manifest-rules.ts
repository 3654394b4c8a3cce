import type { Descriptor } from '../oci/descriptor.ts';
import { RegistryError } from '../oci/errors.ts';
import type { Manifest } from '../oci/manifest.ts';
import { firstUnfit } from '../system/match-within.ts';
import { parseUrl } from '../oci/url.ts';

/** The official registry's `validation`, and `blobs`. */
export interface ManifestRules {
  /** Which images that an index lists must be in its repository. */
  readonly children: 'all' | 'none' | readonly { readonly os: string; readonly architecture: string }[];
  /** Which blobs that an image names must be in its repository. */
  readonly blobs: 'all' | 'none';
  /** URLs that layers may name: each matches one of `allow`, where there are any, and none of `deny`. `undefined`: any. */
  readonly urls: { readonly allow: readonly RegExp[]; readonly deny: readonly RegExp[] } | undefined;
}

/** All of one manifest. While they are matched nothing else runs here. */
const MATCH_MS_MAX = 50;

/** Layers that name addresses of their own are fetched from there, and need not be here (reliability.md, S04). */
export function needsOf({ children, blobs }: Manifest, rules: ManifestRules): readonly Descriptor[] {
  return [
    ...children.filter((child) => mustBeHere(child, rules)),
    ...blobs.filter(({ foreign }) => !foreign && rules.blobs === 'all'),
  ];
}

/** What need not be here, but stays if it is. */
export function wantsOf({ children, blobs }: Manifest, rules: ManifestRules): readonly Descriptor[] {
  return [
    ...children.filter((child) => !mustBeHere(child, rules)),
    ...blobs.filter(({ foreign }) => !foreign && rules.blobs === 'none'),
  ];
}

function mustBeHere({ platform }: Descriptor, { children }: ManifestRules): boolean {
  if (children === 'all' || children === 'none') return children === 'all';
  const [itsOs, itsArchitecture] = platform?.split('/') ?? [];
  return children.some(({ os, architecture }) => os === itsOs && architecture === itsArchitecture);
}

/** Throws RegistryError for URLs that the rules do not take. As the official registry, takes none but http(s) without fragment then. */
export function checkUrls({ children, blobs }: Manifest, { urls }: ManifestRules): void {
  if (urls === undefined) return;
  const named = [...children, ...blobs].flatMap((descriptor) => descriptor.urls ?? []);
  if (named.length === 0) return;
  const { allow, deny } = urls;
  const fits = (url: string): boolean =>
    isWeb(url) && (allow.length === 0 || allow.some((one) => one.test(url))) && !deny.some((one) => one.test(url));
  const unfit = firstUnfit(named, fits, MATCH_MS_MAX);
  if (unfit === -1) return;
  const which =
    unfit === undefined ? 'URLs that take too long to be matched' : JSON.stringify((named[unfit] ?? '').slice(0, 200));
  const message = `the manifest names ${which}, which validation.manifests.urls does not take here`;
  throw new RegistryError('MANIFEST_INVALID', message);
}

function isWeb(url: string): boolean {
  return /^https?:\/\//.test(url) && !url.includes('#') && parseUrl(url) !== undefined;
}
