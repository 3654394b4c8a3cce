import type { Admin, RefreshedTag } from '../admin/admin.ts';
import type { BackupStep } from '../admin/backup.ts';
import type { CollectStep } from '../admin/collect.ts';
import type { Disowned } from '../admin/disown.ts';
import type { EvictStep } from '../admin/evict.ts';
import type { Explanation } from '../admin/explain.ts';
import type { ImportStep } from '../admin/import.ts';
import type { ListedTag } from '../admin/ls.ts';
import type { Pinned, PinView } from '../admin/pins.ts';
import type { RecentClient } from '../admin/recent.ts';
import type { Released } from '../admin/release.ts';
import type { ScrubStep } from '../admin/scrub.ts';
import type { Status } from '../admin/status.ts';
import type { CreatedToken, TokenView } from '../admin/tokens.ts';
import { callServer, streamServer } from './socket-client.ts';

/** The running server's answers, behind the same functions as those of a store that the command opened itself. */
export function remoteAdmin(path: string): Admin {
  return {
    status: async () => (await callServer(path, 'status', {})) as Status,
    explain: async (image, signal, as) => (await callServer(path, 'explain', { image, as }, signal)) as Explanation,
    ls: (pattern) => streamServer(path, 'ls', { pattern }) as AsyncGenerator<ListedTag>,
    evict: (request) => streamServer(path, 'evict', { ...request }) as AsyncGenerator<EvictStep>,
    pin: async (pattern) => (await callServer(path, 'pin', { pattern })) as Pinned,
    unpin: async (pattern) => (await callServer(path, 'unpin', { pattern })) as PinView,
    refresh: async (image) => (await callServer(path, 'refresh', { image })) as RefreshedTag,
    release: async (image) => (await callServer(path, 'release', { image })) as Released,
    disown: async (repository) => (await callServer(path, 'disown', { repository })) as Disowned,
    collect: (request) => streamServer(path, 'collect', request) as AsyncGenerator<CollectStep>,
    scrub: (request) => streamServer(path, 'scrub', request) as AsyncGenerator<ScrubStep>,
    import: (request) => streamServer(path, 'import', request) as AsyncGenerator<ImportStep>,
    backup: (request) => streamServer(path, 'backup', request) as AsyncGenerator<BackupStep>,
    createToken: async (request) => (await callServer(path, 'createtoken', request)) as CreatedToken,
    tokens: async () => (await callServer(path, 'tokens', {})) as TokenView[],
    revokeToken: async (name) => (await callServer(path, 'revoketoken', { name })) as TokenView,
    tail: (signal) => streamServer(path, 'tail', {}, signal) as AsyncGenerator<string>,
    clients: async () => (await callServer(path, 'clients', {})) as RecentClient[],
  };
}
