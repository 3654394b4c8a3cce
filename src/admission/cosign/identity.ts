/** Who may have signed with a certificate: what its issuer calls them. */
export interface Identity {
  /** Who vouched for them, as the certificate has it: `https://token.actions.githubusercontent.com`. */
  readonly issuer: string;
  /** An e-mail address or a URI; `*` stands for any text, the empty one too. */
  readonly subject: string;
}

/** Who did sign, as a certificate says that was believed. */
export interface Signer {
  readonly issuer: string;
  readonly subject: string;
}

export function isIdentity({ issuer, subject }: Identity, signer: Signer): boolean {
  return issuer === signer.issuer && fits(subject, signer.subject);
}

/** In linear time: each piece between stars is taken where it comes first, and the last one at the end. */
function fits(pattern: string, text: string): boolean {
  const [first = '', ...pieces] = pattern.split('*');
  const last = pieces.pop();
  if (last === undefined) return text === pattern;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const piece of pieces) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
