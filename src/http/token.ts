import type { TokenEndpoint } from '../auth/auth.ts';
import { RegistryError } from '../oci/errors.ts';
import { readBody } from '../push/body.ts';
import type { Reply } from '../pull/reply.ts';
import type { ClientAddresses } from './client-address.ts';
import { queryOf, type Exchange } from './exchange.ts';
import { senderOf } from './gate.ts';
import { jsonReply, noEndpoint } from './routes.ts';

/** Of a form with a name, a password that may be a token, and a few scopes. */
const FORM_BYTES_MAX = 64 * 1024;

export interface TokenRouteOptions {
  readonly endpoint: TokenEndpoint | undefined;
  readonly addresses: ClientAddresses;
  /** `http.host`. */
  readonly publicUrl: string | undefined;
}

/** `/token`: the question as it came, the answer as the token endpoint gives it. Never kept by whoever stands between. */
export async function tokenReply(exchange: Exchange, { endpoint, addresses, publicUrl }: TokenRouteOptions): Promise<Reply> {
  if (endpoint === undefined) throw noEndpoint();
  const isForm = exchange.method === 'POST';
  const parameters = isForm ? await readForm(exchange) : queryOf(exchange.target);
  const { status, body, headers } = await endpoint({
    ...senderOf(exchange, addresses, publicUrl),
    parameters,
    method: isForm ? 'POST' : 'GET',
  });
  const reply = jsonReply(status, body);
  return { ...reply, headers: { ...reply.headers, 'cache-control': 'no-store', ...headers } };
}

async function readForm({ body, incoming }: Exchange): Promise<URLSearchParams> {
  const type = incoming.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded')
    throw new RegistryError('UNSUPPORTED', 'expected application/x-www-form-urlencoded', { status: 415 });
  const form = await readBody(body, FORM_BYTES_MAX, () => undefined);
  if (form === undefined) throw new RegistryError('SIZE_INVALID', 'the form is larger than 64 KiB', { status: 413 });
  return new URLSearchParams(Buffer.from(form).toString('utf8'));
}
