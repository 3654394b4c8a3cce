import { BlockList, isIP, Socket, type LookupFunction, type TcpSocketConnectOpts } from 'node:net';

/** Refuses, in this process, every connection that would leave the machine; `report` hears where it would have gone. */
export function guardNetwork(report: (target: string) => void): void {
  const connect = Socket.prototype.connect as (this: Socket, ...args: unknown[]) => Socket;

  function guarded(this: Socket, ...args: unknown[]): Socket {
    const options = optionsOf(args);
    // A path: a socket in the file system.
    if (options.path !== undefined) return connect.apply(this, args);
    const host = options.host ?? 'localhost';
    if (isIP(host) !== 0 ? isLoopback(host) : host === 'localhost') return connect.apply(this, args);
    if (isIP(host) === 0 && options.lookup !== undefined) {
      return connect.call(this, { ...options, lookup: checked(options.lookup, report) }, callbackOf(args));
    }
    report(host);
    return this.destroy(refusal(host));
  }
  Socket.prototype.connect = guarded as typeof Socket.prototype.connect;
}

type Options = TcpSocketConnectOpts & { readonly path?: string };

/** Node's own callers hand over `[options, callback]` as one array. */
function optionsOf(args: readonly unknown[]): Options {
  const first: unknown = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (typeof first === 'object' && first !== null) return first as Options;
  if (typeof first === 'string' && !/^\d+$/.test(first)) return { path: first, port: 0 };
  return { port: Number(first), ...(typeof args[1] === 'string' ? { host: args[1] } : {}) };
}

function callbackOf(args: readonly unknown[]): unknown {
  const flat: unknown[] = Array.isArray(args[0]) ? args[0] : [...args];
  return flat.find((argument) => typeof argument === 'function');
}

/** A name may be dialled when the test's own resolver says that it is here. */
function checked(lookup: LookupFunction, report: (target: string) => void): LookupFunction {
  return (name, options, callback) =>
    lookup(name, options, (error, found, family) => {
      const addresses = typeof found === 'string' ? [found] : (found ?? []).map((entry) => entry.address);
      const outside = error === null ? addresses.find((address) => !isLoopback(address)) : undefined;
      if (outside === undefined) return callback(error, found, family);
      report(`${name} (${outside})`);
      return callback(refusal(outside), found, family);
    });
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
LOOPBACK.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

function isLoopback(address: string): boolean {
  return LOOPBACK.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function refusal(target: string): Error {
  return Object.assign(new Error(`EPERM: tests may not connect to ${target}`), { code: 'EPERM' });
}
