import type { Reply } from '../fakes/http-client.ts';
import type { Image } from '../fakes/images.ts';
import { createScriptedScanner, type ScriptedScanner } from '../fakes/scripted-scanner.ts';
import type { Stage } from './harness.ts';
import { blobPath, manifestPath } from './paths.ts';
import type { Running } from './running.ts';

/** Status, code and message of a refusal, without the number of its request. */
export async function refused(reply: Reply): Promise<readonly [string, string]> {
  const { errors } = await reply.json<{ errors: { code: string; message: string }[] }>();
  return [`${reply.status} ${errors[0]!.code}`, errors[0]!.message.replace(/ \(request [0-9a-f]+\)$/, '')];
}

/** A scanner that ends with the scenario. */
export async function scannerOf(stage: Stage): Promise<ScriptedScanner> {
  const scanner = await createScriptedScanner();
  stage.defer(() => scanner.close());
  return scanner;
}

/** As a client does: manifest, children, configs, layers; the statuses, in order. */
export async function pullAll(server: Pick<Running, 'get'>, image: Image, reference: string): Promise<readonly number[]> {
  const manifests = image.index === undefined ? [] : image.manifests;
  const paths = [
    manifestPath(reference),
    ...manifests.map(({ digest }) => manifestPath(digest)),
    ...[...image.configs, ...image.layers].map((blob) => blobPath(blob)),
  ];
  const statuses: number[] = [];
  for (const path of paths) {
    const reply = await server.get(path);
    await reply.bytes();
    statuses.push(reply.status);
  }
  return statuses;
}
