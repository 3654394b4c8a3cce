import { RegistryError } from '../oci/errors.ts';
import { noSuchName } from '../oci/no-such-name.ts';
import { referenceText } from '../oci/reference.ts';
import { BodyMemory, MANIFESTS_BYTES_MAX } from './body-memory.ts';
import { BodyCut } from './body.ts';
import { deleteBlob, deleteManifest } from './deletions.ts';
import type { PushDeps } from './deps.ts';
import { putManifest } from './manifests.ts';
import { Quotas } from './quota.ts';
import { mountBlob } from './mount.ts';
import type { PushMethod, PushReply, PushRequest, Pushing } from './request.ts';
import { checkRoom, diskFull } from './room.ts';
import { unknownUpload } from './upload-refusals.ts';
import { digestParameter, Uploads } from './uploads.ts';

export type { PushMethod, PushName, PushReply, PushRequest, PushTarget, PushTrace, Requester } from './request.ts';
export { BodyCut, type PushBody } from './body.ts';
export type { PushDeps } from './deps.ts';

/** Answers everything that changes what is kept here, and asks about uploads. Throws RegistryError for every refusal. */
export type Push = (request: PushRequest) => Promise<PushReply>;

export function createPush(deps: PushDeps): Push {
  const quotas = new Quotas(deps);
  const uploads = new Uploads(deps, quotas);
  const memory = new BodyMemory(MANIFESTS_BYTES_MAX);
  return async (request) => {
    const pushing = startPushing(deps, request);
    try {
      return withNamespace(pushing, await answer(deps, { uploads, quotas, memory }, pushing));
    } catch (error) {
      throw asRefusal(deps, error);
    }
  };
}

/** Who may take it: the first route that matches. Nothing is looked up for a name that none matches. */
function startPushing(deps: PushDeps, request: PushRequest): Pushing {
  const { target, trace, method } = request;
  const { name } = target;
  trace.registry = name.registry;
  trace.repository = name.repository;
  trace.reference =
    target.kind === 'manifest' ? referenceText(target.reference) : target.kind === 'blob' ? target.digest : undefined;
  trace.type = target.kind === 'manifest' ? 'manifest' : 'blob';
  const holder = `${name.registry}/${name.repository}`;
  const route = deps.router(name);
  if (route === undefined) throw noSuchName(holder);
  trace.route = route.name;
  if (route.deny) throw new RegistryError('DENIED', `${holder} is denied here by the route ${route.name}`);
  const takesPushes = route.hosted && route.push;
  if (deps.readOnly() && !(target.kind === 'upload' && (method === 'GET' || method === 'HEAD')))
    throw notAllowed(method, 'this registry is read-only for now (storage.maintenance.readonly)');
  if (isDeletion(request)) {
    if (!deps.mayDelete())
      throw notAllowed(
        method,
        'deleting is not enabled here (storage.delete.enabled)',
        takesPushes && request.target.kind === 'manifest' ? 'GET, HEAD, PUT' : undefined,
      );
  } else if (!takesPushes) {
    if (method === 'GET' || method === 'HEAD') throw unknownUpload();
    throw notAllowed(method, `the route ${route.name} takes no pushes`);
  }
  return { request, name, route, holder };
}

function isDeletion({ method, target }: PushRequest): boolean {
  return method === 'DELETE' && target.kind !== 'upload';
}

interface Parts {
  readonly uploads: Uploads;
  readonly quotas: Quotas;
  readonly memory: BodyMemory;
}

async function answer(deps: PushDeps, parts: Parts, pushing: Pushing): Promise<PushReply> {
  const { target, method } = pushing.request;
  switch (target.kind) {
    case 'manifest':
      if (method === 'PUT') return putManifest(deps, parts, pushing, target.reference);
      return deleteManifest(deps, parts.quotas, pushing, target.reference);
    case 'blob':
      return deleteBlob(deps, parts.quotas, pushing, target.digest);
    case 'upload':
      return target.session === undefined ? begin(deps, parts, pushing) : goOn(parts.uploads, pushing, target.session);
  }
}

/** A mount that is not made is an upload that begins (OCI distribution-spec, "Mounting a blob from another repository"). */
async function begin(deps: PushDeps, { uploads, quotas }: Parts, pushing: Pushing): Promise<PushReply> {
  const { query, body } = pushing.request;
  const digest = digestParameter(query, 'mount');
  await checkRoom(deps, body.length);
  await deps.admit(pushing);
  await quotas.check(pushing, body.length ?? 0, digest ?? digestParameter(query));
  const from = query.get('from') ?? undefined;
  const mounted = digest === undefined ? undefined : await mountBlob(deps, quotas, pushing, digest, from);
  return mounted ?? uploads.begin(pushing);
}

const UPLOAD_METHODS = 'GET, HEAD, PATCH, PUT, DELETE';

async function goOn(uploads: Uploads, pushing: Pushing, session: string): Promise<PushReply> {
  const { method } = pushing.request;
  // What cannot be one of ours is not looked for.
  if (!/^[0-9a-f-]{36}$/.test(session)) throw unknownUpload();
  switch (method) {
    case 'GET':
    case 'HEAD':
      return uploads.status(pushing, session);
    case 'PATCH':
      return uploads.append(pushing, session);
    case 'PUT':
      return uploads.finish(pushing, session);
    case 'DELETE':
      return uploads.cancel(pushing, session);
    case 'POST':
      throw notAllowed(method, 'an upload goes on with PATCH or PUT', UPLOAD_METHODS);
  }
}

/** RFC 9110 15.5.6: with what is allowed here. */
function notAllowed(method: PushMethod, why: string, allow = 'GET, HEAD'): RegistryError {
  const headers = { allow };
  return new RegistryError('UNSUPPORTED', `${method} is not supported: ${why}`, { headers });
}

/** What keeps a push from being kept: told as trouble of ours, which a client may try again, never as absence. */
function asRefusal({ report }: PushDeps, error: unknown): unknown {
  if (error instanceof RegistryError) return error;
  if (error instanceof BodyCut) {
    return new RegistryError('BLOB_UPLOAD_INVALID', `the body is not whole: ${error.message}`, { status: 400, cause: error });
  }
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const isMetadata = error instanceof Error && error.name.startsWith('Metadata');
  if (code === undefined && !isMetadata) return error;
  report({ kind: 'push-failed', reason: isMetadata ? 'metadata' : 'storage', error });
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(error);
  const message = `the ${isMetadata ? 'metadata' : 'storage'} of this registry cannot be written now`;
  return new RegistryError('UNAVAILABLE', message, { status: 503, headers: { 'retry-after': '5' }, cause: error });
}

/** OCI distribution-spec, "Registry Proxying": the parameter that decided is said back. */
function withNamespace({ name: { ns } }: Pushing, reply: PushReply): PushReply {
  return ns === undefined ? reply : { ...reply, headers: { ...reply.headers, 'oci-namespace': ns } };
}
