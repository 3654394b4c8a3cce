/** As much as Node takes for small buffers at a time. */
const PAGE_BYTES = 8192;

/**
 * What answers are put together in, head and body in one piece, so that they leave with one call of the system. Small ones share a page,
 * since the kernel nearly always takes them at once: new memory for each made the collector a tenth of a hit's cost.
 */
export interface AnswerMemory {
  /** Good until the next call, unless `keep` is called. */
  shared(head: string, body: Uint8Array | undefined): Buffer;
  /** What was shared last is still on its way, and nobody else's until then. */
  keep(): void;
}

export function createAnswerMemory(): AnswerMemory {
  let page: Buffer | undefined;
  return {
    shared(head, body) {
      if (lengthOf(head, body) > PAGE_BYTES) return own(head, body);
      page ??= Buffer.allocUnsafeSlow(PAGE_BYTES);
      return page.subarray(0, put(page, head, body));
    },
    keep() {
      page = undefined;
    },
  };
}

/** The same in memory of its own, for what takes its time: TLS tells only later what it has taken. */
export function own(head: string, body: Uint8Array | undefined): Buffer {
  const bytes = Buffer.allocUnsafe(lengthOf(head, body));
  put(bytes, head, body);
  return bytes;
}

function lengthOf(head: string, body: Uint8Array | undefined): number {
  return head.length + (body?.byteLength ?? 0);
}

function put(bytes: Buffer, head: string, body: Uint8Array | undefined): number {
  bytes.write(head, 'latin1');
  if (body !== undefined) bytes.set(body, head.length);
  return lengthOf(head, body);
}
