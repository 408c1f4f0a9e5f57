// Starts the bundled VMMs of a stack on a machine, each on the virtualization interface of the one outside it.

import { assert } from "../base/index.js";
import { msrAddresses } from "../isa/index.js";
import { SerialPort, type Machine } from "../machine/index.js";
import type { StartState } from "../program/index.js";
import type { BundledVmm, VmmEvents, VmmStop } from "./bundled.js";
import { faultyLevel, type Fault } from "./faults/index.js";
import { GuestDevices, machineDevices, type PortDevices } from "./hardware/devices.js";
import { setUpSvm } from "./hardware/svm/setup.js";
import { SvmVcpu } from "./hardware/svm/vcpu.js";
import { setUpVmx } from "./hardware/vmx/setup.js";
import { VmxVcpu } from "./hardware/vmx/vcpu.js";
import { ShadowTables } from "./hardware/shadow-paging.js";
import { giveSvm, giveVmx } from "./nested/index.js";
import { guestModeOf } from "./guest-mode.js";
import { PageAllocator } from "./page-allocator.js";
import { withPassThrough } from "./pass-through.js";
import { emptyPolicy, type VmmChoice, type VmmPolicy } from "./policy.js";
import { softwareInstructions, startSoftware, whyNotSoftware } from "./software/index.js";
import { levelInside, machineLevel, type Level } from "./stack/index.js";

/** Memory that a machine needs above its platform's for the structures of its bundled VMMs. */
export const vmmMemoryBytes = 0x40_0000;

/** How many VMMs may run one on another. */
export const deepestStack = 3;

export interface VmmOptions {
  readonly events: VmmEvents;
  /** Takes each byte that the guest sends through its serial port. */
  readonly serial?: (byte: number) => void;
  /** The guest has the machine's own devices in place of the VMM's serial port. */
  readonly passThrough?: boolean;
  /** Makes the VMMs wrong on purpose. */
  readonly fault?: Fault | undefined;
}

/**
 * Starts a stack of VMMs, innermost first in the list, around the guest whose start state the machine holds. A VMM
 * that cannot run there refuses its guest when it is run.
 */
export function startVmm(
  machine: Machine,
  stack: readonly VmmChoice[],
  start: StartState,
  options: VmmOptions,
): BundledVmm {
  const innermost = stack[0] ?? noChoice;
  const why =
    whyNot(machine, stack) ??
    (innermost.kind === "hardware" ? undefined : whyNotSoftware(innermost, machine.platform.cpu, start));
  if (why !== undefined) return new RefusingVmm(machine, why, options.events);
  const { memoryBytes } = machine.platform;
  const guestBytes = (place: number): number => memoryBytes + place * vmmMemoryBytes;
  const partsOf = (place: number): StartParts => ({
    choice: understood(stack[place] ?? noChoice, options.fault),
    pages: new PageAllocator(guestBytes(place), guestBytes(place + 1)),
    start,
    passThrough: options.passThrough === true,
    devices: devicesFor(machine, options),
    events: sinkOf(machine, options.events, place),
  });
  let parts = partsOf(stack.length - 1);
  const { fault } = options;
  let level = faultyLevel(machineLevel(machine, guestBytes(stack.length - 1)), fault);
  for (let place = stack.length - 1; place > 0; place--) {
    const vcpu = startHardware(level, parts);
    parts = partsOf(place - 1);
    const sizes = { guestBytes: guestBytes(place - 1), bytes: guestBytes(place) };
    level = faultyLevel(levelInside(level, vcpu, sizes, parts.pages), fault);
  }
  if (innermost.kind === "hardware") return startHardware(level, parts);
  const { processor, ringZero } = level;
  const { kind } = innermost;
  const known = softwareInstructions(kind);
  const instructions = fault?.instructions?.(known) ?? known;
  return startSoftware({ ...parts, policy: policyOf(parts), processor, ringZero, kind, instructions });
}

/** The VMM as it understands what was declared of it. */
function understood(choice: VmmChoice, fault: Fault | undefined): VmmChoice {
  return fault?.policy ? { ...choice, policy: fault.policy(choice.policy) } : choice;
}

const noChoice: VmmChoice = { kind: "hardware", nested: false, policy: emptyPolicy };

function devicesFor(machine: Machine, options: VmmOptions): PortDevices {
  if (options.passThrough === true) return machineDevices(machine);
  return new GuestDevices([new SerialPort({ sink: options.serial ?? (() => {}) })]);
}

/** Where the events of one VMM of a stack go. Those that nobody takes are dropped where they would stop a run. */
function sinkOf(machine: Machine, events: VmmEvents, index: number): VmmEvents {
  const sink = index === 0 ? events : events.outside(index);
  return sink.listening ? sink : { ...sink, drain: () => machine.drainEvents(() => undefined) };
}

/** What every VMM of a stack is started with, whatever its level. */
export interface StartParts {
  readonly choice: VmmChoice;
  readonly pages: PageAllocator;
  readonly start: StartState;
  readonly passThrough: boolean;
  readonly devices: PortDevices;
  readonly events: VmmEvents;
}

function policyOf({ passThrough, choice }: StartParts): VmmPolicy {
  return passThrough ? withPassThrough(choice.policy) : choice.policy;
}

/** The `hardware` VMM on a level, which has the virtualization of its vendor. */
export function startHardware({ processor, vmx, svm, ringZero }: Level, parts: StartParts): VmxVcpu | SvmVcpu {
  const { choice, pages } = parts;
  const common = { ...parts, processor, ringZero, policy: policyOf(parts) };
  if (vmx) {
    const featureControl = processor.readMsr(msrAddresses.IA32_FEATURE_CONTROL) ?? 0n;
    const setup = setUpVmx({ ...common, vmx });
    const shadow = setup.eptp === 0n ? new ShadowTables(processor, pages) : undefined;
    const vcpu = new VmxVcpu({ ...common, vmx, setup, shadow });
    if (choice.nested) giveVmx(vcpu, { ...common, vmx, region: setup.region, featureControl });
    return vcpu;
  }
  assert(svm, "a level on which a hardware VMM runs has VMX or SVM");
  const vmCr = processor.readMsr(msrAddresses.VM_CR) ?? 0n;
  const setup = setUpSvm({ ...common, svm });
  const tables = setup.nestedRoot === 0n ? new ShadowTables(processor, pages) : undefined;
  const vcpu = new SvmVcpu({ ...common, svm, setup, tables });
  if (choice.nested) giveSvm(vcpu, { ...common, svm, root: setup.nestedRoot, vmCr });
  return vcpu;
}

/** Why this stack cannot run on this platform; undefined where it can. */
function whyNot({ platform }: Machine, stack: readonly VmmChoice[]): string | undefined {
  const { generation, vendor } = platform.cpu;
  if (stack.length === 0) return "there is no VMM to start";
  if (stack.length > deepestStack) return `at most ${deepestStack} VMMs run one on another`;
  for (const [place, { kind, nested }] of stack.entries()) {
    const outer = stack[place + 1];
    if (outer && outer.kind !== "hardware") return `nothing runs under ${outer.kind}`;
    if (outer && kind === "hardware" && !outer.nested)
      return "under a hardware VMM that does not nest there is no other";
    if (nested && (generation === "vtx1" || generation === "svm1")) {
      return "this VMM nests only with EPT or nested paging";
    }
  }
  if (stack.at(-1)?.kind !== "hardware") return undefined;
  if (generation === "unassisted") return `${platform.name} has no hardware virtualization`;
  const { vmx, svm } = platform.firmware;
  if (vendor === "intel" && vmx === "locked_off") return "the firmware has locked VMX off";
  if (vendor === "amd" && (svm === "disabled" || svm === "disabled_locked")) return "the firmware has disabled SVM";
  return undefined;
}

/** Stands where a VMM cannot run: it refuses its guest before the first instruction. */
class RefusingVmm implements BundledVmm {
  readonly state;

  constructor(
    private readonly machine: Machine,
    private readonly why: string,
    private readonly events: VmmEvents,
  ) {
    this.state = {
      register: (name: string) => machine.register(name),
      readMsr: (address: number) => machine.readMsr(address) ?? 0n,
      translate: (linear: bigint) => machine.translate(linear),
    };
  }

  run(): VmmStop {
    const subject = guestModeOf(this.machine);
    this.events.append({ kind: "refuse", subject, rip: this.state.register("RIP"), note: this.why });
    return { kind: "refused", why: this.why };
  }
}
