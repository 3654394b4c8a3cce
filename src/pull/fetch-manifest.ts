import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts';
import { readManifest, type Manifest } from '../oci/manifest.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import type { Clock } from '../system/clock.ts';
import { UpstreamError, type Upstream, type UpstreamBody, type UpstreamFound } from '../upstream/upstream.ts';
import { askChain, type ChainResult } from './chain.ts';
import type { ReportPull } from './events.ts';
import type { Route } from './route.ts';

/**
 * Larger manifests are refused as the upstream's fault. The specification asks for 4 MB at least ("Pushing manifests");
 * containerd takes 4,393,216 bytes.
 */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;

export interface FetchedManifest {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly anonymous: boolean;
}

export interface ManifestAsk {
  readonly route: Route;
  readonly registry: string;
  readonly repository: string;
  readonly reference: Reference;
  readonly deadlineMs: number;
  /** Nobody's request's: others may be waiting for the same answer. */
  readonly signal: AbortSignal;
}

/** GETs a manifest from the chain, whole and verified; an upstream that sends a wrong or unreadable one is passed by. */
export async function fetchManifest(
  deps: { readonly clock: Clock; readonly report: ReportPull },
  ask: ManifestAsk,
): Promise<ChainResult<FetchedManifest>> {
  const { route, registry, repository, reference, deadlineMs, signal } = ask;
  const request = { kind: 'manifest', method: 'GET', registry, repository, reference: referenceText(reference) } as const;
  const chain = route.order(registry, reference.kind === 'tag' ? 'tag' : 'content');
  const hedge = reference.kind === 'tag' ? route.policy.hedgeTags : route.policy.hedge;
  return askChain(deps.clock, { chain, request, signal, deadlineMs, hedge }, async (answer, upstream) =>
    verify(deps.report, await readAll(answer, upstream), answer, upstream, reference),
  );
}

/** The digest is always that of the bytes; what a header says is compared, never trusted (reliability.md, S13). */
function verify(
  report: ReportPull,
  bytes: Uint8Array,
  answer: UpstreamFound,
  upstream: Upstream,
  reference: Reference,
): FetchedManifest {
  const said = reference.kind === 'digest' ? reference.digest : answer.digest;
  const digest = digestOf(bytes, said === undefined ? 'sha256' : algorithmOf(said));
  if (said !== undefined && digest !== said) {
    report({ kind: 'verify-failed', upstream: upstream.name, digest: said, whole: true });
    throw fault(upstream, `sent a manifest that is not ${said}`);
  }
  const manifest = readManifest(bytes, answer.mediaType);
  if (manifest.kind === 'fault') throw fault(upstream, `sent an unreadable manifest: ${manifest.reason}`);
  return { manifest, bytes, digest, anonymous: answer.anonymous };
}

async function readAll(answer: UpstreamFound, upstream: Upstream): Promise<Uint8Array> {
  const { body } = answer;
  if (body === undefined) throw fault(upstream, 'answered a GET without a body');
  try {
    if ((answer.size ?? 0) > MANIFEST_BYTES_MAX) throw tooLarge(upstream);
    return await collect(body, upstream, answer.size);
  } finally {
    body.close();
  }
}

async function collect(body: UpstreamBody, upstream: Upstream, size: number | undefined): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let chunk = await body.read(); chunk !== undefined; chunk = await body.read()) {
    length += chunk.byteLength;
    if (length > MANIFEST_BYTES_MAX) throw tooLarge(upstream);
    chunks.push(new Uint8Array(chunk));
  }
  if (size !== undefined && length !== size) throw fault(upstream, `sent ${length} bytes of a manifest instead of ${size}`);
  return Buffer.concat(chunks, length);
}

function tooLarge(upstream: Upstream): UpstreamError {
  return fault(upstream, `sent a manifest of more than ${MANIFEST_BYTES_MAX} bytes`);
}

function fault(upstream: Upstream, what: string): UpstreamError {
  return new UpstreamError(upstream.name, 'verify', `${upstream.name} ${what}`);
}
