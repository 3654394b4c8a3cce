/** Keeps labels within what the configuration bounds: a client cannot make a series by naming a registry. */
export interface Labels {
  /** One named in the configuration or well known, else `other`; `none` where a request named no registry. */
  registry(name: string | undefined): string;
  /** A configured upstream, or the host of a known registry (`origin`), else `other`. */
  upstream(name: string): string;
}

/** What a reload may change: asked anew for every label. */
export interface KnownNames {
  readonly registries: () => ReadonlySet<string>;
  readonly upstreams: () => ReadonlySet<string>;
}

export function createLabels(known: KnownNames): Labels {
  return {
    registry: (name) => (name === undefined ? 'none' : known.registries().has(name) ? name : 'other'),
    upstream: (name) => (known.upstreams().has(name) || known.registries().has(name) ? name : 'other'),
  };
}

const METHODS = new Set(['get', 'head', 'post', 'put', 'patch', 'delete', 'options']);

/** Lower case, as the official registry has it; a made-up method is `unknown`. */
export function methodOf(method: string): string {
  const lower = method.toLowerCase();
  return METHODS.has(lower) ? lower : 'unknown';
}
