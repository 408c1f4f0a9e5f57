// Loads dist/core.wasm, once for the process, and makes instances of it: one for each machine.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { LAYOUT_DIGEST } from "./layout.generated.js";
import type { VirtualizationExports } from "./virtualization.js";

/** The compiled processor core, shared by all machines of a process. */
export interface CoreModule {
  /** A new instance with its own memory. */
  instantiate(memoryBytes: number, host: CoreHost): CoreInstance;
}

/** What the core calls on its host side. Physical addresses of devices are below 4 GiB. */
export interface CoreHost {
  portRead(port: number, bytes: number): number;
  portWrite(port: number, value: number, bytes: number): void;
  memoryRead(address: number, bytes: number): bigint;
  memoryWrite(address: number, value: bigint, bytes: number): void;
  acknowledgeInterrupt(): number;
  deadlineReached(): void;
  mayWake(): number;
  /** CR8 or IA32_APIC_BASE changed. */
  processorChanged(): void;
  /** 1 when a device has the MSR and its value is in `stopDetail`. */
  msrRead(address: number): number;
  msrWrite(address: number, value: bigint): number;
}

/** The functions of src/core/index.ts. 64-bit integers are signed at this border. */
export interface CoreExports extends VirtualizationExports {
  /** Undoes every write to memory since the last call and drops traces, translations and events. */
  resetMemory(): void;
  /** LAYOUT_DIGEST of the layout that the core was built with. */
  layoutDigest(): number;
  /** Runs at most so many instructions; a STOP_ number. */
  run(budget: bigint): number;
  /** Recomputes everything that follows from control registers, EFER, RFLAGS and segments. */
  refresh(): void;
  /** The same after a change of segments and flags only. */
  refreshSegments(): void;
  /** Passes the points at a physical address; 1 at a stop point. */
  passPointsAt(address: bigint): number;
  hasPointAt(address: bigint): number;
  readFlags(): bigint;
  writeFlags(value: bigint): void;
  /** Physical address or -1; access 0 read, 1 write, 2 execute. No side effects. */
  translateForHost(linear: bigint, access: number): bigint;
  /** Before the host writes memory: marks pages dirty and drops decoded code. */
  prepareHostWrite(address: number, bytes: number): void;
  /** Around writing the points region: forgets the old points; takes `count` new ones and drops decoded code. */
  clearPoints(): void;
  pointsChanged(count: number): void;
  /** 1 when the MSR exists; the value is then in `stopDetail`. */
  readMsrForHost(address: number): number;
  writeMsrForHost(address: number, value: bigint): number;
  /** RDMSR and WRMSR with their checks: 1, or 0 where the instruction raises #GP(0). */
  rdmsrForHost(address: number): number;
  wrmsrForHost(address: number, value: bigint): number;
  /** Address in linear memory of the event record to be filled; 0 when the ring is full. */
  appendEvent(kind: number): number;
  /** Delivers an exception, NMI or interrupt now, as if it came before the next instruction. */
  injectEvent(vector: number, type: number, errorCode: number, hasErrorCode: number): void;
  tlbFlush(): void;
}

/** A machine's core. */
export interface CoreInstance {
  readonly exports: CoreExports;
  readonly memory: SharedArrayBuffer;
}

/** The little of the WebAssembly interface that we use; Node's own types leave the values out. */
interface Engine {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: object };
  Memory: new (limits: { initial: number; maximum: number; shared: true }) => { buffer: SharedArrayBuffer };
}

const pageBytes = 65536;
/** Declared by scripts/build-core.mjs; one less than the format's own bound. */
const maximumPages = 65535;

let loaded: CoreModule | undefined;

/** Reads and compiles the core synchronously; a second call costs nothing. Says what to do when it is not built. */
export function loadCore(): CoreModule {
  loaded ??= compileCore(readFileSync(findCore()));
  return loaded;
}

function compileCore(bytes: Uint8Array): CoreModule {
  const engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;
  const module = new engine.Module(bytes);
  return {
    instantiate(memoryBytes, host) {
      // Shared with nobody: but V8 counts memory that is not shared as garbage to come, and collects all of its heap
      // for each machine of 128 MiB.
      const limits = { initial: Math.ceil(memoryBytes / pageBytes), maximum: maximumPages, shared: true } as const;
      const memory = new engine.Memory(limits);
      const abort = (): never => {
        throw new Error("internal error: the processor core met a broken invariant");
      };
      const instance = new engine.Instance(module, { env: { memory, abort }, host: boundFunctions(host) });
      const exports = instance.exports as CoreExports;
      if (exports.layoutDigest() !== LAYOUT_DIGEST) {
        throw new Error("the processor core is older than its sources: run npm run build");
      }
      return { exports, memory: memory.buffer };
    },
  };
}

/** The core calls its imports without an object. */
function boundFunctions(host: CoreHost): CoreHost {
  return {
    portRead: (port, bytes) => host.portRead(port, bytes),
    portWrite: (port, value, bytes) => host.portWrite(port, value, bytes),
    memoryRead: (address, bytes) => host.memoryRead(address, bytes),
    memoryWrite: (address, value, bytes) => host.memoryWrite(address, value, bytes),
    acknowledgeInterrupt: () => host.acknowledgeInterrupt(),
    deadlineReached: () => host.deadlineReached(),
    mayWake: () => host.mayWake(),
    processorChanged: () => host.processorChanged(),
    msrRead: (address) => host.msrRead(address),
    msrWrite: (address, value) => host.msrWrite(address, value),
  };
}

/** dist/core.wasm, seen from the bundle in dist/ or from the sources. */
function findCore(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const candidates = [
    join(here, "core.wasm"),
    join(here, "..", "..", "dist", "core.wasm"),
    join(here, "..", "core.wasm"),
  ];
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) throw new Error("the processor core is not built: run npm run build");
  return found;
}
