/** What was asked cannot be done; `message` is one line that says what to do. Exit 1 of a command. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
}
