import type { Digest } from '../../src/oci/digest.ts';
import { createDice, type Dice } from '../fakes/dice.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { TROUBLE_MS } from '../../src/pull/fill/disk-trouble.ts';
import type { Random } from '../../src/system/random.ts';
import type { Judge } from './checks/check.ts';
import { Hosted, type HostedKind } from './hosted.ts';
import { createMachine, type Machine, type MetadataFlavour, type Tempo } from './machine.ts';
import { Network } from './network.ts';
import type { Answer, Waiting } from './puller.ts';
import { startServer, type Server } from './server.ts';
import type { Settings } from './settings.ts';
import { Truth } from './truth.ts';

/** How a world is made; plain data. */
export interface Nature {
  readonly seed: number;
  readonly flavour: MetadataFlavour;
  readonly tempo: Tempo;
  readonly settings: Settings;
}

const START_TRIES = 20;

/** Longer than anything that is waited for in one go. */
const THROUGH_MS_MAX = 300_000;

/** A client that has not ended yet. */
export interface Running {
  readonly what: string;
  readonly since: number;
  /** The client goes, or the edge breaks it off. */
  readonly gone: AbortController;
}

/** One that is running, and the latest that the wall clock showed meanwhile. */
export interface Collection {
  readonly deleteUntagged: boolean;
  wallMax: number;
}

/** Everything: a machine, what runs on it, the upstreams around it, its clients, and what they were told. */
export class World {
  readonly nature: Nature;
  readonly judge: Judge;
  readonly machine: Machine;
  readonly truth: Truth;
  readonly network: Network;
  readonly hosted: Hosted;
  readonly random: Random;
  readonly dice: Dice;
  readonly running = new Set<Running>();
  readonly answers: Answer[] = [];
  /** What was seen, in order: the same for the same seed. */
  readonly trace: string[] = [];
  /** What must not be, found by clients on the way. */
  readonly faults: string[] = [];
  /** Digests with a wrong byte on disk, which nobody can see without reading all of it; since when. */
  readonly rotten = new Map<string, number>();
  /** Digests whose file was cut short, or taken away. */
  readonly shortened = new Set<string>();
  readonly collections = new Set<Collection>();
  /** What was served whole when all was quiet, `repository reference`, and since when that is known. */
  readonly kept = new Map<string, number>();
  keepableSince = 0;
  settings: Settings;
  settingsSince = -Infinity;
  /** When a reload last ended that quay.io is served from what is held. */
  offlineUntil = -Infinity;
  /** When the wall clock last jumped, and when an upstream last lied. */
  jumpedAt = -Infinity;
  liedAt = -Infinity;
  /** When the step under way began. */
  stepSince = 0;
  /** Since all was quiet something happened that excuses second transfers. */
  eventful = false;
  server: Server;
  /** Reads of the disk failed in this world: what is cut then is not looked at. */
  readsFail = false;
  /** When this process began. */
  restartedAt = -Infinity;
  /** Calls of disk and metadata that the last start made. */
  startCalls = 0;
  /** Since when nothing is wrong with disk, metadata or power; `undefined` while something is. */
  calmSince: number | undefined = 0;
  /** How a crash that is armed ends the machine. */
  crashing: 'power' | 'kill' | undefined;
  /** Lives so far. */
  lives = 0;
  /** Each lifts one fault of the disk. */
  readonly lifts: (() => void)[] = [];

  private constructor(
    nature: Nature,
    judge: Judge,
    parts: Pick<World, 'machine' | 'truth' | 'network' | 'random' | 'dice' | 'server'>,
  ) {
    this.nature = nature;
    this.judge = judge;
    this.settings = nature.settings;
    this.machine = parts.machine;
    this.truth = parts.truth;
    this.network = parts.network;
    this.random = parts.random;
    this.dice = parts.dice;
    this.server = parts.server;
    const { clock } = this.machine;
    this.hosted = new Hosted(
      () => clock.now(),
      () => clock.monotonic(),
    );
  }

  static async create(nature: Nature, judge: Judge): Promise<World> {
    const random = createSeededRandom(nature.seed * 3 + 1);
    const dice = createDice(createSeededRandom(nature.seed * 3 + 2));
    const machine = createMachine(nature.flavour, nature.tempo, dice);
    const truth = new Truth(() => machine.clock.monotonic());
    const network = new Network(machine, truth);
    const server = await whileTimePasses(machine, startServer(machine, network, random, nature.settings));
    return new World(nature, judge, { machine, truth, network, random, dice, server });
  }

  get now(): number {
    return this.machine.clock.monotonic();
  }

  get waiting(): Waiting {
    const { clock } = this.machine;
    return { now: () => clock.monotonic(), pause: (ms) => new Promise((resolve) => clock.after(ms, resolve)) };
  }

  note(line: string): void {
    this.trace.push(`${this.now} ${line}`);
  }

  /** A client that goes its way; what it rejects with is a fault of the simulator's. */
  begin(what: string, work: (gone: AbortController) => Promise<void>): void {
    const running: Running = { what, since: this.now, gone: new AbortController() };
    this.running.add(running);
    const { life } = this.server;
    void work(running.gone).then(
      () => void this.running.delete(running),
      (error: unknown) => {
        this.running.delete(running);
        if (!life.isOver())
          this.faults.push(
            `the client "${what}" failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
          );
      },
    );
  }

  async pass(ms: number): Promise<void> {
    const { clock } = this.machine;
    const until = clock.monotonic() + ms;
    await clock.advance(Math.max(0, until - clock.monotonic()));
    if (this.server.life.isOver()) await this.restart();
  }

  /** Lets time pass until it is done; `undefined` where the process dies before. */
  async through<T>(work: Promise<T>): Promise<T | undefined> {
    let isOpen = true;
    const end = (): void => void (isOpen = false);
    work.then(end, end);
    const { life } = this.server;
    for (const until = this.now + THROUGH_MS_MAX; isOpen && !life.isOver() && this.now < until;)
      await this.machine.clock.advance(5);
    if (!isOpen) return work;
    if (!life.isOver()) throw new Error(`it does not end within ${THROUGH_MS_MAX} ms`);
    await this.restart();
    return undefined;
  }

  /** The wall clock alone. */
  jump(ms: number): void {
    const { clock } = this.machine;
    this.jumpedAt = this.now;
    for (const collection of this.collections) collection.wallMax = Math.max(collection.wallMax, clock.now(), clock.now() + ms);
    clock.jump(ms);
  }

  /**
   * It is here beyond doubt: acknowledged, not deleted, and nothing that a collection under way may have taken, of which its
   * end alone would tell. Which version of the register; `undefined`: there is some doubt.
   */
  surely(repository: string, kind: HostedKind, digest: string): number | undefined {
    const register = this.hosted.known(repository, kind, digest);
    if (register?.is('here') !== true) return undefined;
    const isBeingTaken = [...this.collections].some(({ wallMax, deleteUntagged }) =>
      this.hosted.mayBeTaken(repository, kind, digest, Math.max(wallMax, this.machine.clock.now()), deleteUntagged),
    );
    return isBeingTaken ? undefined : register.version;
  }

  /**
   * A disk that failed is not tried again for a while, so that each client passes it by: until then no fill begins that could be
   * one for all, or outlive any. (`calmSince` is 0 where nothing ever failed.)
   */
  get leftAloneUntil(): number {
    const { calmSince = Infinity } = this;
    return calmSince === 0 ? 0 : calmSince + TROUBLE_MS;
  }

  /** Nothing has been wrong with disk, metadata or power since before then: in the same instant something still may have been. */
  wasCalm(at: number): boolean {
    return this.calmSince !== undefined && this.calmSince < at;
  }

  /** What it may have taken need not be there any more. */
  collectionEnded(collection: Collection): void {
    if (!this.collections.delete(collection)) return;
    this.hosted.collected(Math.max(collection.wallMax, this.machine.clock.now()), collection.deleteUntagged);
  }

  /** True when nobody waits any more, and nothing is being filled; `wholly`: nor may be when a slow disk or store has answered. */
  async settle(msMax: number, wholly = false): Promise<boolean> {
    const until = this.now + msMax;
    const { server } = this;
    const isBusy = (): boolean => this.running.size + server.fills().length > 0 || (wholly && server.life.delayed() > 0);
    while (isBusy() && this.now < until) await this.pass(500);
    return !isBusy();
  }

  /** The machine goes down now, and comes up again. */
  async crash(how: 'power' | 'kill'): Promise<void> {
    this.crashing = how;
    this.server.life.end();
    await this.restart();
  }

  /** What a process that has ended was asked for comes to nothing. */
  forgetRunning(): void {
    this.running.clear();
    for (const collection of this.collections) this.collectionEnded(collection);
    this.hosted.died();
    this.network.hungUp();
  }

  /** After its life has ended. */
  async restart(): Promise<void> {
    const how = this.crashing ?? 'kill';
    this.eventful = true;
    this.note(`down by ${how}, ${this.running.size} waiting`);
    this.forgetRunning();
    this.machine.callsLeft = Infinity;
    this.crashing = undefined;
    if (how === 'power') {
      this.machine.disk.crash({ random: this.random });
      if (this.machine.flavour === 'lmdb') this.machine.metadata.crash(this.random);
      this.lifts.length = 0;
      this.forgetKept();
    }
    await this.start();
  }

  /** A supervisor starts it until it stays. */
  async start(): Promise<void> {
    for (let tries = 1; ; tries++) {
      const before = this.machine.calls;
      try {
        this.server = await whileTimePasses(this.machine, startServer(this.machine, this.network, this.random, this.settings));
        this.lives += 1;
        this.restartedAt = this.now;
        this.startCalls = this.machine.calls - before;
        return;
      } catch (error) {
        if (this.machine.callsLeft < 0) return this.restart();
        if (this.calmSince !== undefined || tries > START_TRIES) throw new Error('it does not start', { cause: error });
        this.note(`did not start: ${error instanceof Error ? error.message : String(error)}`);
        this.calm();
      }
    }
  }

  /** Every fault of disk, metadata and upstreams is over. */
  calm(): void {
    for (const lift of this.lifts.splice(0)) lift();
    this.machine.metadataHealth = 'ok';
    this.calmSince ??= this.now;
  }

  trouble(): void {
    this.calmSince = undefined;
    this.eventful = true;
  }

  /** What was cached may be so no more. */
  forgetKept(): void {
    this.kept.clear();
    this.keepableSince = this.now;
  }

  isRotten(digest: Digest | string): boolean {
    return this.rotten.has(digest);
  }
}

/** A start needs time where calls take some. Rejects where the power goes meanwhile. */
async function whileTimePasses<T>(machine: Machine, work: Promise<T>): Promise<T> {
  let isOpen = true;
  const end = (): void => void (isOpen = false);
  work.then(end, end);
  for (let turns = 0; isOpen && turns < 10_000 && machine.callsLeft >= 0; turns++) await machine.clock.advance(1);
  if (isOpen) throw new Error(machine.callsLeft < 0 ? 'the power went at its start' : 'it hangs at its start');
  return work;
}
