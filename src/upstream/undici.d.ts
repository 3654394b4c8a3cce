/**
 * The two parts of undici that we use, by the files that they are in: its index loads all of it, of which caches, mocks, WebSockets
 * and a fetch of its own are two thirds.
 */
declare module 'undici/lib/dispatcher/agent.js' {
  import { Agent } from 'undici';
  export = Agent;
}

declare module 'undici/lib/core/connect.js' {
  import { buildConnector } from 'undici';
  export = buildConnector;
}
