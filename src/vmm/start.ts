// Starts the bundled VMMs of a stack on a machine, each on the virtualization interface of the one outside it.

import { cr0Bits } from "../isa/index.js";
import { SerialPort, type Machine } from "../machine/index.js";
import type { StartState } from "../program/index.js";
import type { BundledVmm, VmmEvents, VmmStop } from "./bundled.js";
import { GuestDevices, machineDevices } from "./hardware/devices.js";
import { setUpSvm } from "./hardware/svm/setup.js";
import { SvmVcpu } from "./hardware/svm/vcpu.js";
import { VmxControls } from "./hardware/vmx/controls.js";
import { setUpVmx } from "./hardware/vmx/setup.js";
import { VmxVcpu } from "./hardware/vmx/vcpu.js";
import { ShadowTables } from "./hardware/shadow-paging.js";
import { giveVmx } from "./nested/index.js";
import { guestModeOf } from "./guest-mode.js";
import { PageAllocator } from "./page-allocator.js";
import { withPassThrough } from "./pass-through.js";
import type { VmmChoice } from "./policy.js";
import { startSoftware, whyNotSoftware } from "./software/index.js";

/** Memory that a machine needs above its platform's for the structures of its bundled VMMs. */
export const vmmMemoryBytes = 0x40_0000;

const featureControlMsr = 0x3a;

export interface VmmOptions {
  readonly events: VmmEvents;
  /** Takes each byte that the guest sends through its serial port. */
  readonly serial?: (byte: number) => void;
  /** The guest has the machine's own devices in place of the VMM's serial port. */
  readonly passThrough?: boolean;
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
  const [choice] = stack;
  const why = choice ? (whyNot(machine, stack) ?? whyNotMode(machine, choice, start)) : "there is no VMM to start";
  if (choice === undefined || why !== undefined) return new RefusingVmm(machine, why ?? "", options.events);
  const { memoryBytes } = machine.platform;
  const pages = new PageAllocator(memoryBytes, memoryBytes + vmmMemoryBytes);
  const serial = new SerialPort({ sink: options.serial ?? (() => {}) });
  const passThrough = options.passThrough === true;
  const common = {
    processor: machine,
    pages,
    policy: passThrough ? withPassThrough(choice.policy) : choice.policy,
    start,
    devices: passThrough ? machineDevices(machine) : new GuestDevices([serial]),
    events: options.events,
  };
  if (choice.kind !== "hardware") return startSoftware({ ...common, kind: choice.kind, ringZero: machine.ringZero });
  if (machine.platform.cpu.vendor === "intel") {
    const { vmx } = machine;
    const featureControl = machine.readMsr(featureControlMsr) ?? 0n;
    const setup = setUpVmx({ ...common, vmx });
    const shadow = setup.eptp === 0n ? new ShadowTables(machine, pages) : undefined;
    const vcpu = new VmxVcpu({ ...common, vmx, setup, shadow });
    if (choice.nested) giveVmx(vcpu, { ...common, vmx, region: setup.region, featureControl });
    return vcpu;
  }
  const { svm } = machine;
  const setup = setUpSvm({ ...common, svm });
  const tables = setup.nestedRoot === 0n ? new ShadowTables(machine, pages) : undefined;
  return new SvmVcpu({ ...common, svm, setup, tables });
}

/** Why this stack cannot run on this platform; undefined where it can. */
function whyNot({ platform }: Machine, stack: readonly VmmChoice[]): string | undefined {
  const { generation, vendor } = platform.cpu;
  const [choice] = stack;
  if (stack.length > 1) return "this VMM does not run on another one";
  if (choice === undefined || choice.kind !== "hardware") return undefined;
  if (choice.nested && (vendor === "amd" || generation === "vtx1")) {
    return "this VMM gives virtualization to its guest only on VT-x with EPT";
  }
  if (generation === "unassisted") return `${platform.name} has no hardware virtualization`;
  const { vmx, svm } = platform.firmware;
  if (vendor === "intel" && vmx === "locked_off") return "the firmware has locked VMX off";
  if (vendor === "amd" && (svm === "disabled" || svm === "disabled_locked")) return "the firmware has disabled SVM";
  return undefined;
}

/** Why a guest cannot begin in this state under the VMM: real mode needs help that only later processors give. */
function whyNotMode(machine: Machine, choice: VmmChoice, start: StartState): string | undefined {
  if (choice.kind !== "hardware") return whyNotSoftware(choice, machine.platform.cpu, start);
  const { name, cpu } = machine.platform;
  if (cpu.vendor !== "intel" || (start.cr0 & cr0Bits.PE) !== 0n) return undefined;
  const allows = new VmxControls((address) => machine.readMsr(address)).allows("UNRESTRICTED_GUEST");
  return allows ? undefined : `a guest in real mode needs "unrestricted guest", which ${name} does not have`;
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
