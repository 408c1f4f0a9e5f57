// A machine whose tests run one level deeper: what they do in root operation or host mode is done by a VMM that is
// itself the guest of `hardware nested`. For the drivers of tests/vmx and tests/svm.

import { decodeEvent, type DecodedEvent, Machine, type MachineOptions, loadCore } from "../../src/machine/index.js";
import type { LevelStop, VmmEvents } from "../../src/vmm/bundled.js";
import { machineDevices } from "../../src/vmm/hardware/devices.js";
import { PageAllocator } from "../../src/vmm/page-allocator.js";
import { emptyPolicy } from "../../src/vmm/policy.js";
import { levelInside, machineLevel, type Level } from "../../src/vmm/stack/index.js";
import { startHardware, vmmMemoryBytes } from "../../src/vmm/start.js";
import { protectedStart } from "../../src/machine/boot/start-states.js";

const deeper = 2;

/** The level that `hardware nested` makes of its guest, which it leaves alone as far as it can. */
function levelOn(machine: Machine, events: VmmEvents): Level & { readonly giveRoot: () => void } {
  const { memoryBytes } = machine.platform;
  const bytes = memoryBytes + vmmMemoryBytes;
  const outside = machineLevel(machine, bytes);
  const vcpu = startHardware(outside, {
    choice: { kind: "hardware", nested: true, policy: { ...emptyPolicy, interceptNothing: true } },
    pages: new PageAllocator(bytes, bytes + vmmMemoryBytes),
    start: protectedStart(0n, {}),
    passThrough: true,
    devices: machineDevices(machine),
    events,
  });
  const level = levelInside(outside, vcpu, { guestBytes: memoryBytes, bytes }, new PageAllocator(memoryBytes, bytes));
  const giveRoot = (): void => {
    if (vcpu.nested) vcpu.nested.handsOver = false;
  };
  return { ...level, giveRoot };
}

/** The same members as a machine's, those of the processor being the level's. */
export class LevelMachine {
  private readonly real: Machine;
  private level!: ReturnType<typeof levelOn>;
  private log: DecodedEvent[] = [];
  /** What a test raises reaches the processor when its guest runs: before, the level's own VMM would have it. */
  private signals: (() => void)[] = [];

  constructor(options: MachineOptions) {
    this.real = new Machine(loadCore(), { ...options, vmmMemoryBytes: vmmMemoryBytes * deeper });
    this.reset();
  }

  reset(): void {
    this.real.reset();
    this.log = [];
    this.signals = [];
    this.level = levelOn(this.real, this.sink());
  }

  get processor() {
    return this.level.processor;
  }
  get view(): DataView {
    return this.real.view;
  }
  get vmx() {
    return this.level.vmx;
  }
  get svm() {
    return this.level.svm;
  }

  /** Code in memory is the VMM of the level from here on. */
  giveRoot(): void {
    this.level.giveRoot();
  }

  raiseNmi(): void {
    this.signals.push(() => this.real.raiseNmi());
  }
  raiseInit(startupVector?: number): void {
    this.signals.push(() => this.real.raiseInit(startupVector));
  }

  run(budget: number): LevelStop {
    this.drain();
    for (const raise of this.signals.splice(0)) raise();
    const stop = this.level.processor.run(budget);
    this.drain();
    // What the test does next are instructions of the level's VMM.
    if (stop.kind === "halted") this.real.activity = "active";
    return stop;
  }

  drainEvents(visit: (event: { copy(): never; decoded: DecodedEvent }) => void): void {
    this.drain();
    const events = this.log;
    this.log = [];
    for (const decoded of events) visit({ copy: () => decoded as never, decoded });
  }

  private drain(): void {
    const vendor = this.real.platform.cpu.vendor;
    this.real.drainEvents((raw) => {
      const event = decodeEvent(raw.copy(), vendor);
      // Exits count once they are handed on; entries of the processor are the outer VMM's.
      if (event.kind === "exit") this.last = event;
      else if (event.kind !== "enter") this.log.push(event);
    });
  }

  private last: DecodedEvent | undefined;

  private sink(): VmmEvents {
    const sink: VmmEvents = {
      listening: true,
      classify: () => this.drain(),
      append: (event) => {
        this.drain();
        if (event.kind === "inject" || event.kind === "emulate") return;
        this.log.push({ fields: {}, retired: 0n, ...event } as unknown as DecodedEvent);
      },
      entered: (rip) => {
        this.drain();
        this.log.push({ kind: "enter", fields: {}, retired: 0n, rip } as unknown as DecodedEvent);
      },
      reflect: (_context, as) => {
        this.drain();
        if (this.last) this.log.push({ ...this.last, ...as });
      },
      drain: () => this.drain(),
      outside: () => sink,
    };
    return sink;
  }
}

/** The machine for a test of a driver: everything that is not the level's goes to the real one. */
export function levelMachine(options: MachineOptions): Machine {
  const own = new LevelMachine(options);
  const processor = new Set([
    "register",
    "setRegister",
    "segment",
    "setSegment",
    "readMsr",
    "writeMsr",
    "general",
    "setGeneral",
  ]);
  // Where a VMM of a level stands between its instructions is its own matter: tests see the place they put it at.
  let hostRip = 0n;
  const setRegister = (name: string, value: bigint): void => {
    if (name === "RIP") hostRip = value;
    own.processor.setRegister(name, value);
  };
  const register = (name: string): bigint => {
    const value = own.processor.register(name);
    return name === "RIP" && value >= BigInt(options.platform.memoryBytes) ? hostRip : value;
  };
  return new Proxy(own, {
    get(target, name) {
      if (name === "setRegister") return setRegister;
      if (name === "register") return register;
      const inside = target as unknown as { level: Level; real: Machine };
      if (Reflect.has(target, name)) {
        const value = Reflect.get(target, name) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      }
      const from: object = processor.has(String(name)) ? inside.level.processor : inside.real;
      const value = Reflect.get(from, name) as unknown;
      return typeof value === "function" ? value.bind(from) : value;
    },
  }) as unknown as Machine;
}
