/** Programs that pull, as the label of `entrepot_clients` and the field `client_kind` name them. */
const CLIENT_KINDS = [
  'docker',
  'containerd',
  'podman',
  'skopeo',
  'buildah',
  'crio',
  'buildkit',
  'crane',
  'kaniko',
  'flux',
  'cosign',
  'regctl',
  'oras',
  'helm',
  'stargz',
  'nydus',
  'entrepot',
  'curl',
  'other',
] as const;

export type ClientKind = (typeof CLIENT_KINDS)[number];

/** What the User-Agent begins with or holds, the more special first: kaniko and cosign say go-containerregistry too. */
const SIGNS: readonly (readonly [RegExp, ClientKind])[] = [
  [/^docker\//i, 'docker'],
  [/buildkit\//i, 'buildkit'],
  [/stargz/i, 'stargz'],
  [/nydus/i, 'nydus'],
  [/containerd\//i, 'containerd'],
  [/cri-o\//i, 'crio'],
  [/skopeo\//i, 'skopeo'],
  [/buildah\//i, 'buildah'],
  [/(podman|libpod|containers)\//i, 'podman'],
  [/kaniko/i, 'kaniko'],
  [/flux/i, 'flux'],
  [/cosign/i, 'cosign'],
  [/(crane|go-containerregistry)/i, 'crane'],
  [/regclient/i, 'regctl'],
  [/helm\//i, 'helm'],
  [/oras/i, 'oras'],
  [/entrepot/i, 'entrepot'],
  [/^curl\//i, 'curl'],
];

/** The kind of client by its User-Agent; one of a fixed list, so that it may be a label. */
export function clientKind(userAgent: string | undefined): ClientKind {
  if (userAgent === undefined) return 'other';
  const head = userAgent.slice(0, 256);
  return SIGNS.find(([sign]) => sign.test(head))?.[1] ?? 'other';
}
