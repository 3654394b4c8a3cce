import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { createFakeSigstore, ISSUER } from '../fakes/fake-sigstore.ts';
import type { Reply } from '../fakes/http-client.ts';
import { manifestBlob, descriptorOf, MEDIA_TYPE, type Image, type ManifestBlob } from '../fakes/images.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import {
  BUNDLE,
  bundleLayer,
  bundleOf,
  envelopeOf,
  keylessLayer,
  payloadOf,
  signatureManifest,
  signatureTag,
  signWith,
  simpleLayer,
  statementOf,
  type SignatureManifest,
} from '../fakes/signatures.ts';
import { scenario, type Stage } from './harness.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import type { Running } from './running.ts';
import { routesTo, type Settings } from './settings.ts';

const own = { settings: null };
const ours = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const theirs = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Status and message of a refusal, without its request's id. */
async function refused(reply: Reply): Promise<string> {
  const { errors } = await reply.json<{ errors: { code: string; message: string }[] }>();
  return `${reply.status} ${errors[0]!.code} ${errors[0]!.message.replace(/ \(request [0-9a-f]+\)$/, '')}`;
}

const nobodys = (top: ManifestBlob): string =>
  `403 DENIED docker.io/${ALPINE}@${top.digest}: refused by signed: no cosign signature of it was found`;

/** As a client does: manifests, then what they name; the statuses, each once. */
async function pull(
  server: Pick<Running, 'get'>,
  image: Image,
  reference: string = image.top.digest,
): Promise<readonly number[]> {
  const manifests = image.index === undefined ? [] : image.manifests;
  const statuses: number[] = [];
  for (const path of [
    manifestPath(reference),
    ...manifests.map(({ digest }) => manifestPath(digest)),
    ...[...image.configs, ...image.layers].map((blob) => blobPath(blob)),
  ]) {
    const reply = await server.get(path);
    await reply.bytes();
    statuses.push(reply.status);
  }
  return [...new Set(statuses)];
}

function put(upstream: ScriptedUpstream, { manifest, blobs }: SignatureManifest, tag?: string): void {
  for (const blob of blobs) upstream.blob(ALPINE, blob);
  upstream.manifest(ALPINE, tag, manifest);
}

/** Signs as cosign did. */
function sign(upstream: ScriptedUpstream, { top }: Pick<Image, 'top'>, key: KeyObject): SignatureManifest {
  const payload = payloadOf(top.digest);
  const made = signatureManifest([simpleLayer(payload, signWith(key)(payload))]);
  put(upstream, made, signatureTag(top.digest));
  return made;
}

/** Signs as cosign does by now. */
function signBundle(upstream: ScriptedUpstream, { top }: Pick<Image, 'top'>, key: KeyObject): SignatureManifest {
  const dsseEnvelope = envelopeOf(statementOf(top.digest), signWith(key));
  const made = signatureManifest([bundleLayer(bundleOf({ dsseEnvelope }))], top, BUNDLE);
  put(upstream, made);
  return made;
}

/** A route that takes what one of these keys has signed. */
async function signedBy(stage: Stage, keys: readonly KeyObject[], policy: Settings = {}): Promise<Settings> {
  const files = await Promise.all(
    keys.map(async (key, at) => {
      const file = join(stage.directory, `key-${at}.pub`);
      await writeFile(file, key.export({ type: 'spki', format: 'pem' }));
      return file;
    }),
  );
  return routesTo(stage.upstream, { signed: { cosign: { keys: files } }, ...policy });
}

describe('signed', () => {
  scenario(
    'what one of the keys has signed is served, on a miss, on a hit and with the upstream down; nothing else is, in words',
    async (stage) => {
      const { upstream } = stage;
      const good = upstream.image(ALPINE, 'good', { label: 'good', layers: [1001] });
      const plain = upstream.image(ALPINE, 'plain', { label: 'plain', layers: [1002] });
      const other = upstream.image(ALPINE, 'other', { label: 'other', layers: [1003] });
      sign(upstream, good, ours.privateKey);
      sign(upstream, other, theirs.privateKey);
      const settings = await signedBy(stage, [ours.publicKey]);
      const theirWords = `403 DENIED docker.io/${ALPINE}@${other.top.digest}: refused by signed: it is signed, but by none of the configured keys`;
      const server = await stage.start(settings);
      const look = async (from: Running): Promise<void> => {
        expect(await pull(from, good, 'good')).toEqual([200]);
        expect(await pull(from, plain, 'plain')).toEqual([403]);
        expect(await refused(await from.get(manifestPath('plain')))).toBe(nobodys(plain.top));
        expect((await from.head(manifestPath(plain.top.digest))).status).toBe(403);
        expect(await pull(from, other, 'other')).toEqual([403]);
        expect(await refused(await from.get(manifestPath('other')))).toBe(theirWords);
      };
      await look(server);
      await look(server);
      expect(upstream.hits(`${signatureTag(good.top.digest)}`)).toBe(1);
      expect(upstream.seen('GET blob').map(({ reference }) => reference)).not.toContain(plain.layers[0]!.digest);
      expect((await server.metrics()).sum('entrepot_denied_total', { action: 'pull', reason: 'signed' })).toBeGreaterThan(0);
      await upstream.down();
      await look(server);
      await server.stop();
      await look(await stage.start(settings));
    },
    own,
  );

  for (const referrers of ['on', 'off'] as const)
    scenario(
      `a bundle that refers to an image is its signature, where the upstream's referrers API is ${referrers}`,
      async (stage) => {
        const { upstream } = stage;
        upstream.lists({ referrers });
        const good = upstream.image(ALPINE, 'good', { label: 'good' });
        const other = upstream.image(ALPINE, 'other', { label: 'other' });
        for (const [image, key] of [
          [good, ours.privateKey],
          [other, theirs.privateKey],
        ] as const) {
          const { manifest } = signBundle(upstream, image, key);
          upstream.refer(ALPINE, image.top, manifest, BUNDLE);
          const entry = { ...descriptorOf(manifest, manifest.mediaType), artifactType: BUNDLE };
          upstream.manifest(
            ALPINE,
            image.top.digest.replace(':', '-'),
            manifestBlob(MEDIA_TYPE.ociIndex, { manifests: [entry] }),
          );
        }
        const server = await stage.start(await signedBy(stage, [ours.publicKey]));
        expect(await pull(server, good, 'good')).toEqual([200]);
        expect(await refused(await server.get(manifestPath('other')))).toContain(
          'it is signed, but by none of the configured keys',
        );
        await upstream.down();
        expect(await pull(server, good, 'good')).toEqual([200]);
      },
      own,
    );

  scenario(
    'a certificate of an identity lets in, by the trusted root alone',
    async (stage) => {
      const { upstream } = stage;
      const sigstore = createFakeSigstore();
      const good = upstream.image(ALPINE, 'good', { label: 'good' });
      const other = upstream.image(ALPINE, 'other', { label: 'other' });
      for (const [image, subject] of [
        [good, 'https://ci.test/acme/app'],
        [other, 'https://ci.test/evil/app'],
      ] as const) {
        const layer = keylessLayer(sigstore, sigstore.certify({ subject }), payloadOf(image.top.digest));
        put(upstream, signatureManifest([layer]), signatureTag(image.top.digest));
      }
      const trustedroot = join(stage.directory, 'trusted_root.json');
      await writeFile(trustedroot, sigstore.trustedRoot);
      const identities = [{ issuer: ISSUER, subject: 'https://ci.test/acme/*' }];
      const server = await stage.start(routesTo(upstream, { signed: { cosign: { identities, trustedroot } } }));
      expect(await pull(server, good, 'good')).toEqual([200]);
      expect(await refused(await server.get(manifestPath('other')))).toContain(
        `it is signed by https://ci.test/evil/app (${ISSUER}), and by none of the configured identities`,
      );
    },
    own,
  );

  scenario(
    'a signature on an index holds for all that it lists, and for nothing else',
    async (stage) => {
      const { upstream } = stage;
      const platforms = ['linux/amd64', 'linux/arm64'];
      const good = upstream.image(ALPINE, 'good', { label: 'good', platforms, layers: [1001] });
      sign(upstream, good, ours.privateKey);
      const server = await stage.start(await signedBy(stage, [ours.publicKey]));
      const [first] = good.manifests;
      expect(await refused(await server.get(manifestPath(first!.digest)))).toBe(nobodys(first!));
      expect(await pull(server, good, 'good')).toEqual([200]);
      await upstream.down();
      expect(await pull(server, good, 'good')).toEqual([200]);
    },
    own,
  );

  scenario(
    'what was held before the rule is judged like the rest, and while nobody can be asked it is neither served nor refused',
    async (stage) => {
      const { upstream } = stage;
      const good = upstream.image(ALPINE, 'good', { label: 'good', layers: [1001] });
      const plain = upstream.image(ALPINE, 'plain', { label: 'plain', layers: [1002] });
      sign(upstream, good, ours.privateKey);
      const server = await stage.start(routesTo(upstream));
      for (const [image, tag] of [
        [good, 'good'],
        [plain, 'plain'],
      ] as const)
        expect(await pull(server, image, tag)).toEqual([200]);
      await upstream.down();
      await server.reload(await signedBy(stage, [ours.publicKey]));
      for (const tag of ['good', 'plain']) {
        const said = await refused(await server.get(manifestPath(tag)));
        expect(said).toMatch(/^503 UNAVAILABLE .*: signed could not tell whether it may be let in: /);
      }
      await upstream.up();
      expect(await pull(server, good, 'good')).toEqual([200]);
      expect(await refused(await server.get(manifestPath('plain')))).toBe(nobodys(plain.top));
      await upstream.down();
      expect(await pull(server, good, 'good')).toEqual([200]);
    },
    own,
  );

  scenario(
    'an upstream that answers badly about signatures is not believed to have none',
    async (stage) => {
      const { upstream } = stage;
      const good = upstream.image(ALPINE, 'good', { label: 'good' });
      sign(upstream, good, ours.privateKey);
      const trouble = upstream.on('.sig').status(500);
      const server = await stage.start(await signedBy(stage, [ours.publicKey], { retry: '1ms', negativettl: '1ms' }));
      expect((await server.get(manifestPath('good'))).status).toBe(503);
      trouble.clear();
      expect(await pull(server, good, 'good')).toEqual([200]);
    },
    own,
  );

  scenario(
    'a key that is exchanged counts from the reload on, and what only the old one had signed is served no more',
    async (stage) => {
      const { upstream } = stage;
      const good = upstream.image(ALPINE, 'good', { label: 'good' });
      sign(upstream, good, ours.privateKey);
      const server = await stage.start(await signedBy(stage, [theirs.publicKey]));
      expect(await pull(server, good, 'good')).toEqual([403]);
      await server.reload(await signedBy(stage, [theirs.publicKey, ours.publicKey]));
      expect(await pull(server, good, 'good')).toEqual([200]);
      await server.reload(await signedBy(stage, [theirs.publicKey]));
      expect(await pull(server, good, 'good')).toEqual([403]);
      await server.reload(routesTo(upstream));
      expect(await pull(server, good, 'good')).toEqual([200]);
    },
    own,
  );

  scenario(
    'clients can check signatures through the mirror: those are served, and what only looks like one is not',
    async (stage) => {
      const { upstream } = stage;
      const good = upstream.image(ALPINE, 'good', { label: 'good' });
      const other = upstream.image(ALPINE, 'other', { label: 'other' });
      const made = sign(upstream, good, ours.privateKey);
      sign(upstream, other, theirs.privateKey);
      // An image whose layers are called signatures, which some clients unpack all the same.
      const tar = good.layers[0]!;
      const disguised = signatureManifest([{ ...simpleLayer(tar.bytes, Buffer.from('x')), blob: tar }]);
      put(upstream, disguised, 'disguised');
      const server = await stage.start(await signedBy(stage, [ours.publicKey]));
      expect(await (await server.get(manifestPath(signatureTag(good.top.digest)))).sha256()).toBe(made.manifest.digest);
      for (const blob of made.blobs) expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
      expect((await server.get(manifestPath(signatureTag(other.top.digest)))).status).toBe(403);
      expect((await server.get(manifestPath('disguised'))).status).toBe(403);
    },
    own,
  );

  scenario(
    'a cooldown holds back images and not their signatures',
    async (stage) => {
      const { upstream } = stage;
      const good = upstream.image(ALPINE, 'good', { label: 'good' });
      sign(upstream, good, ours.privateKey);
      const server = await stage.start(await signedBy(stage, [ours.publicKey], { cooldown: '72h' }));
      expect(await pull(server, good)).toEqual([200]);
    },
    own,
  );

  scenario(
    'an offline route serves what was let in, and of what was not nobody can tell',
    async (stage) => {
      const { upstream } = stage;
      const good = upstream.image(ALPINE, 'good', { label: 'good', layers: [1001] });
      const late = upstream.image(ALPINE, 'late', { label: 'late', layers: [1002] });
      for (const image of [good, late]) sign(upstream, image, ours.privateKey);
      const server = await stage.start(routesTo(upstream));
      expect(await pull(server, late, 'late')).toEqual([200]);
      await server.reload(await signedBy(stage, [ours.publicKey]));
      expect(await pull(server, good, 'good')).toEqual([200]);
      await server.settled();
      await server.reload(await signedBy(stage, [ours.publicKey], { offline: true }));
      expect(await pull(server, good, 'good')).toEqual([200]);
      expect(await refused(await server.get(manifestPath('late')))).toMatch(/^503 UNAVAILABLE .*: signed could not tell/);
    },
    own,
  );
});
