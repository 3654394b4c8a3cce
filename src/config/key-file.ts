/** What is wrong with a service account's key file, said without its contents; `undefined`: nothing that can be seen. */
export function serviceAccountFault(text: string): string | undefined {
  const { type, client_email: email, private_key: key } = parsed(text);
  if (type === 'service_account' && typeof email === 'string' && typeof key === 'string') return undefined;
  return 'expected the JSON key of a service account (type, client_email, private_key); no other kind of Google credentials is known here';
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // The parser's own message quotes the text, which is a key.
    return {};
  }
}
