import { z } from 'zod';
import { form, path, secret, text, webUrl } from '../forms.ts';

/** A part of a host's name, as `docker-credential-NAME` is called: no path can be made of it. */
const helperName = () =>
  form('helper', 'the NAME of a docker-credential-NAME program, such as ecr-login', (written) =>
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(written) ? written : undefined,
  );

/** Becomes a part of a host's name. */
const region = () =>
  form('region', 'an AWS region such as eu-west-1', (written) =>
    /^[a-z]{2}[a-z0-9-]{3,28}\d$/.test(written) ? written : undefined,
  );

/** Becomes a part of an address. */
const azureId = () =>
  form('id', 'an ID such as 11111111-2222-3333-4444-555555555555', (written) =>
    /^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$/.test(written) ? written : undefined,
  );

const ecr = z.strictObject({
  region: region().optional().describe('Of the registry, where its host does not name it.'),
  endpoint: webUrl().optional().describe("Of ECR's API instead of AWS's own."),
});

const gcp = z.strictObject({
  keyfile: path().optional().describe('Key of a service account, JSON; without it the metadata server is asked.'),
});

const acr = z.strictObject({
  tenant: azureId().optional().describe('Directory; `AZURE_TENANT_ID` where workload identity sets it.'),
  clientid: azureId().optional().describe('Application, or user-assigned identity; `AZURE_CLIENT_ID` likewise.'),
  clientsecret: secret().optional(),
  clientsecretfile: path().optional().describe('File that holds the secret of a service principal.'),
  tokenfile: path().optional().describe('Federated token of workload identity; `AZURE_FEDERATED_TOKEN_FILE` likewise.'),
  authority: webUrl().optional().describe('Where to sign in; `AZURE_AUTHORITY_HOST`, else https://login.microsoftonline.com.'),
});

/** How to sign in: the keys that `credentials.PREFIX` and `upstreams.NAME` have in common. One kind at a time. */
export const accountKeys = {
  username: text().optional(),
  password: secret().optional(),
  passwordfile: path().optional().describe('File that holds the password; read again when it changes.'),
  token: secret().optional().describe('Sent to the registry as it is, by `Authorization: Bearer`.'),
  tokenfile: path().optional().describe('File that holds such a token; read again when it changes.'),
  identitytoken: secret().optional().describe("docker's `identitytoken`: exchanged at the registry's token endpoint."),
  identitytokenfile: path().optional().describe('File that holds an identity token; read again when it changes.'),
  config: path()
    .optional()
    .describe('A docker `config.json`: its auths, credHelpers and credsStore; read again when it changes.'),
  helper: helperName().optional().describe('`docker-credential-NAME` is asked.'),
  ecr: ecr.optional().describe('Amazon ECR, as whom AWS knows this machine, pod or environment.'),
  gcp: gcp.optional().describe('Google Artifact Registry and gcr.io.'),
  acr: acr.optional().describe('Azure: service principal, workload identity or managed identity.'),
};

export type WrittenAccount = z.output<z.ZodObject<typeof accountKeys>>;
