/** One value of DER (X.690), of less than 64 KiB. */
export function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

export function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

export function integer(value: number): Buffer {
  const digits = value.toString(16);
  const hex = digits.padStart(digits.length + (digits.length % 2), '0');
  // The first bit is the sign.
  return tagged(0x02, Buffer.from(/^[89a-f]/.test(hex) ? `00${hex}` : hex, 'hex'));
}

/** An object's, its bytes in hexadecimal. */
export function identifier(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'));
}

/** Of these common names. */
export function toName(names: readonly string[]): Buffer {
  const parts = names.map((name) => tagged(0x31, sequence(identifier('550403'), tagged(0x0c, Buffer.from(name)))));
  return sequence(...parts);
}

/** GeneralizedTime, whatever the year. */
export function time(when: Date): Buffer {
  return tagged(0x18, Buffer.from(`${when.toISOString().replaceAll(/[-:T]|\.\d+Z$/g, '')}Z`));
}

export const ECDSA_SHA256 = sequence(identifier('2a8648ce3d040302'));

export function basicConstraints(pathLength: number | undefined): Buffer {
  const limit = pathLength === undefined ? [] : [integer(pathLength)];
  return sequence(
    identifier('551d13'),
    tagged(0x01, Buffer.of(0xff)),
    tagged(0x04, sequence(tagged(0x01, Buffer.of(0xff)), ...limit)),
  );
}

export function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
