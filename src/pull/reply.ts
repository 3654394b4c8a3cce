import type { Content } from './content.ts';

/** An answer, decided but not sent: what `respond` yields and the edge writes out. */
export interface Reply {
  readonly status: number;
  /** Lower-case names. `content-length` is present whenever the length is known, for HEAD too. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ReplyBody;
}

export type ReplyBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** `to` is exclusive; `undefined` to the end. */
  | { readonly kind: 'content'; readonly content: Content; readonly from: number; readonly to: number | undefined }
  /** `multipart/byteranges` (RFC 9110 14.6): each part's `head` goes before its bytes, `tail` after the last. */
  | { readonly kind: 'parts'; readonly content: Content; readonly parts: readonly ReplyPart[]; readonly tail: Uint8Array };

export interface ReplyPart {
  readonly head: Uint8Array;
  readonly from: number;
  readonly to: number;
}
