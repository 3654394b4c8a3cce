/** A repository with its registry, under which links and tags are kept, in its parts: `docker.io/library/ubuntu`. */
export function splitHolder(holder: string): { readonly registry: string; readonly repository: string } {
  const slash = holder.indexOf('/');
  return { registry: holder.slice(0, slash), repository: holder.slice(slash + 1) };
}

export function registryOf(holder: string): string {
  return splitHolder(holder).registry;
}
