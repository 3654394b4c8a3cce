// Answers Entrepot's `admit` with what Trivy finds: POST of a question, answered {"allow": …, "reason": …}. Node alone is needed, and
// the program `trivy`, which pulls the image by the name that the question tells and asks Trivy's own server about it.
// What went wrong is answered with another status than 200, which is no verdict: `onerror` decides then.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';

const {
  TRIVY = 'trivy',
  TRIVY_SERVER = 'http://trivy:4954',
  SEVERITY = 'CRITICAL', // HIGH,CRITICAL: what refuses an image
  IGNORE_UNFIXED = 'true', // what nobody has mended yet refuses no image
  TIMEOUT_SECONDS = '110', // less than `admit.timeout`
  HOST = '0.0.0.0',
  PORT = '8080',
} = process.env;
const QUESTION_BYTES_MAX = 8_388_608;
const REPORT_BYTES_MAX = 268_435_456;
const LAYERS_MAX = 50;
const LAYER_BYTES_MAX = 4_194_304;
const NAMED = 5;

createServer((request, response) => {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const answer = (status, value) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(value)}\n`);
  readAll(request, QUESTION_BYTES_MAX)
    .then((body) => judge(request, body, gone.signal))
    .then(
      (verdict) => answer(200, verdict),
      (error) => {
        if (gone.signal.aborted) return;
        console.error(error.message);
        answer(error.status ?? 502, { error: error.message });
      },
    );
}).listen(Number(PORT), HOST, function () {
  console.log(`listening on ${this.address().port}`);
});

async function judge(request, body, signal) {
  if (request.method !== 'POST') throw fault(405, 'a question comes by POST');
  const question = parse(body, () => fault(400, 'the question is no JSON'));
  const { image, pull, reference, manifest } = question ?? {};
  if (typeof pull !== 'string' || !isImage(image)) throw fault(400, 'the question names no image that Trivy could pull');
  // Signatures, attestations, charts: Trivy has nothing to say of them.
  if (!(await holdsFiles(manifest, pull, signal))) return { allow: true, reason: 'it holds no file system' };
  const report = parse(await scan(image, pull.startsWith('http:'), signal), () => fault(502, 'trivy printed no JSON'));
  const verdict = verdictOf(report);
  console.log(`${reference}: ${verdict.allow ? 'let in' : 'refused'}: ${verdict.reason}`);
  return verdict;
}

/** A host, a path, a digest: nothing that the command line could take for an option. */
function isImage(image) {
  return typeof image === 'string' && /^[a-z0-9[][a-z0-9.:[\]-]*\/[a-z0-9._/-]+@sha(?:256|512):[0-9a-f]+$/i.test(image);
}

/**
 * Types are whatever an author writes, and some programs unpack a layer of any: only where neither config nor layers say that it is an
 * image, or every layer is JSON, which is no archive, there are no files. Of what is no image manifest nobody knows.
 */
async function holdsFiles({ config, layers } = {}, pull, signal) {
  if (!Array.isArray(layers) || layers.some(({ mediaType }) => /image\.(layer|rootfs)/i.test(String(mediaType)))) return true;
  if (!/image/i.test(String(config?.mediaType ?? 'image'))) return false;
  if (layers.length > LAYERS_MAX) return true;
  const blobs = pull.replace(/\/manifests\/[^/]*$/, '/blobs/');
  const { TRIVY_USERNAME: user, TRIVY_PASSWORD: password } = process.env;
  const headers = user ? { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` } : {};
  for (const { digest } of layers) {
    const reply = await fetch(`${blobs}${digest}`, { signal, headers });
    if (!reply.ok) throw fault(502, `a layer was answered with ${reply.status}`);
    try {
      JSON.parse(await readAll(reply.body, LAYER_BYTES_MAX));
    } catch {
      return true; // Whatever it is, Trivy looks.
    }
  }
  return false;
}

function scan(image, insecure, signal) {
  const options = ['--server', TRIVY_SERVER, '--format', 'json', '--severity', SEVERITY, '--scanners', 'vuln', '--quiet'];
  if (IGNORE_UNFIXED === 'true') options.push('--ignore-unfixed');
  if (insecure) options.push('--insecure');
  const child = spawn(TRIVY, ['image', ...options, '--timeout', `${TIMEOUT_SECONDS}s`, '--', image], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.any([signal, AbortSignal.timeout((Number(TIMEOUT_SECONDS) + 5) * 1000)]),
    killSignal: 'SIGKILL',
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-2000)));
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(fault(502, `trivy did not run: ${error.message}`)));
    const report = readAll(child.stdout, REPORT_BYTES_MAX).catch((error) => (child.kill('SIGKILL'), reject(error)));
    child.on('close', (code) => {
      if (code !== 0) reject(fault(502, `trivy ended with ${code}: ${said.trim().split('\n').at(-1)}`));
      else report.then(resolve, reject);
    });
  });
}

/** Throws for what is no report: no findings are a verdict, no report is none. */
function verdictOf(report) {
  if (typeof report?.SchemaVersion !== 'number' || !Array.isArray(report.Results ?? []))
    throw fault(502, 'what trivy printed is no report');
  const wanted = new Set(SEVERITY.split(','));
  const found = (report.Results ?? [])
    .flatMap(({ Vulnerabilities }) => Vulnerabilities ?? [])
    .filter(({ Severity }) => wanted.has(Severity));
  const ids = [...new Set(found.map(({ VulnerabilityID, PkgName }) => `${VulnerabilityID} in ${PkgName}`))];
  if (ids.length === 0) return { allow: true, reason: `Trivy found nothing ${SEVERITY.replaceAll(',', ' or ')}` };
  const more = ids.length > NAMED ? ` and ${ids.length - NAMED} more` : '';
  return { allow: false, reason: `Trivy found ${ids.slice(0, NAMED).join(', ')}${more}` };
}

async function readAll(stream, bytesMax) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw fault(413, 'more than anybody reads');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parse(text, otherwise) {
  try {
    return JSON.parse(text);
  } catch {
    throw otherwise();
  }
}

function fault(status, message) {
  return Object.assign(new Error(message), { status });
}

process.on('SIGTERM', () => process.exit(0));
