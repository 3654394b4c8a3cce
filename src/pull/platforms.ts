/**
 * Whether a child of an index is one of `platforms`. One that names no variant stands for all of them; arm64 is arm64/v8,
 * as clients take it (protocol.md 3). A child of no platform, as an attestation is, is none of them.
 */
export function isOneOf(platforms: readonly string[], platform: string | undefined): boolean {
  if (platform === undefined) return false;
  const [os, architecture, variant = usualVariant(platform)] = platform.split('/');
  return platforms.some((wanted) => {
    const parts = wanted.split('/');
    return parts[0] === os && parts[1] === architecture && (parts[2] === undefined || parts[2] === variant);
  });
}

function usualVariant(platform: string): string | undefined {
  if (platform.endsWith('/arm64')) return 'v8';
  return platform.endsWith('/arm') ? 'v7' : undefined;
}
