/** One thing that is wrong, and where. */
export interface Fault {
  /** As it was named on the command line, or `environment`. */
  readonly file: string;
  /** From 1; 0 where there is no text, as in the environment. */
  readonly line: number;
  readonly column: number;
  /** `http.addr`, `routes[0].match`; or the variable. */
  readonly key: string;
  /** A sentence's rest: `expected an address such as :5000`. */
  readonly expected: string;
  /** The nearest name that would have been right. */
  readonly suggestion?: string;
}

/** The configuration cannot be used. `message` holds every fault, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[], options: { cause?: unknown } = {}) {
    super(faults.map(printFault).join('\n'), options);
    this.faults = faults;
  }
}

/** `config.yml:12:5: http.addr: expected …; did you mean "…"?` */
function printFault(fault: Fault): string {
  const place = fault.line === 0 ? fault.file : `${fault.file}:${fault.line}:${fault.column}`;
  const key = fault.key === '' ? '' : `${fault.key}: `;
  const hint = fault.suggestion === undefined ? '' : `; did you mean "${fault.suggestion}"?`;
  return `${place}: ${key}${fault.expected}${hint}`;
}
