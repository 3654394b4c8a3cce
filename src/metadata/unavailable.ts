/**
 * The metadata could not be asked: down, frozen, refusing, broken. Never means that something is absent. `message` names the
 * store and the operation; `cause` is what the driver said.
 */
export class MetadataUnavailable extends Error {
  override readonly name = 'MetadataUnavailable';
}

/** The store does not know what it knew: it was emptied, or is another. What it does not know is not absent. */
export class MetadataForgot extends Error {
  override readonly name = 'MetadataForgot';
}

/** The store must not be used as it is, and waiting does not help; `message` names the setting or the version to change. */
export class MetadataRefused extends Error {
  override readonly name = 'MetadataRefused';
}
