// VMX for the guest of the `hardware` VMM: the guest's VMM enters and leaves guests of its own, and never knows that
// the processor runs them on a VMCS of this VMM. docs/decisions/0009-nesting.md.

import { cr4Bits, eferBits, vmcsEncoding, vmxExitByNumber, type VmxControlName } from "../../../isa/index.js";
import type { PageAllocator } from "../../page-allocator.js";
import type { VmmPolicy } from "../../policy.js";
import type { EntryFailure, Processor, VmxOperations } from "../../virtualization.js";
import { emulateCpuid } from "../../hardware/cpuid.js";
import { eventTypes, gpr } from "../../hardware/exited-guest.js";
import { placeOf, type ControlValues } from "../../hardware/vmx/controls.js";
import type { VmxSetup } from "../../hardware/vmx/setup.js";
import { field } from "../../hardware/vmx/vmcs-fields.js";
import type { VmxGuest } from "../../hardware/vmx/vmx-guest.js";
import type { Taken } from "../taken.js";
import { VmxInstructions } from "./instructions.js";
import { VmxMsrs } from "./vmx-msrs.js";
import type { ExitChange } from "./exit-change.js";
import { HostStateLoader, type Left } from "./host-state.js";
import { InnerMemory } from "./inner-memory.js";
import { loadArea, storeArea } from "./msr-areas.js";
import { offeredMsr } from "./offer.js";
import { causesExit, InnerInterceptions, ownInterceptions, type ExitFacts, type Interceptions } from "./ownership.js";
import { ShadowVmcs } from "./shadow-vmcs.js";
import { Vmcs02 } from "./vmcs02.js";
import type { Vmcs12 } from "./vmcs12.js";

export interface NestedVmxParts {
  readonly processor: Processor;
  readonly vmx: VmxOperations;
  readonly setup: VmxSetup;
  readonly policy: VmmPolicy;
  readonly pages: PageAllocator;
  /** Regions of the guest's own VMCS and of that for guests' guests. */
  readonly regions: readonly [own: bigint, inner: bigint];
  /** IA32_FEATURE_CONTROL as the firmware left it. */
  readonly featureControl: bigint;
  /** Takes the guest that runs out of the processor. */
  readonly suspend: () => void;
}

const parameters = {
  timer: vmcsEncoding("VMX_PREEMPTION_TIMER_VALUE"),
  storeAddress: vmcsEncoding("VM_EXIT_MSR_STORE_ADDRESS"),
  storeCount: vmcsEncoding("VM_EXIT_MSR_STORE_COUNT"),
  exitLoadAddress: vmcsEncoding("VM_EXIT_MSR_LOAD_ADDRESS"),
  exitLoadCount: vmcsEncoding("VM_EXIT_MSR_LOAD_COUNT"),
  entryLoadAddress: vmcsEncoding("VM_ENTRY_MSR_LOAD_ADDRESS"),
  entryLoadCount: vmcsEncoding("VM_ENTRY_MSR_LOAD_COUNT"),
} as const;

const reasons = {
  exceptionOrNmi: 0,
  externalInterrupt: 1,
  init: 3,
  cpuid: 10,
  rdmsr: 31,
  wrmsr: 32,
  guestState: 33,
  msrLoading: 34,
  monitorTrap: 37,
  cr: 28,
  timer: 52,
  vmfunc: 59,
} as const;
/** TPR below threshold, APIC access, virtualized EOI, APIC write: this VMM's own guest has no virtual APIC. */
const ofVirtualApic: ReadonlySet<number> = new Set([43, 44, 45, 56]);
const ept = { violation: 48, misconfiguration: 49 } as const;
const entryFailed = 0x8000_0000n;
const longModeActive = Number(eferBits.LMA);
const vmxMsrs = { cr0Fixed0: 0x486, cr4Fixed0: 0x488 } as const;
const vmxFeature = 1n << 5n;
const nmiType = 2;
const waitForSipi = 3;

const instructionNames: ReadonlySet<string> = new Set([
  "VMCALL", "VMCLEAR", "VMLAUNCH", "VMPTRLD", "VMPTRST", "VMREAD", "VMRESUME", "VMWRITE", "VMXOFF", "VMXON", "INVEPT",
  "INVVPID",
]); // prettier-ignore

export class NestedVmx {
  private readonly instructions: VmxInstructions;
  readonly held: VmxMsrs;
  private readonly memory: InnerMemory;
  private readonly own: Interceptions;
  private readonly vmcs02: Vmcs02;
  private readonly hostState: HostStateLoader;
  private readonly shadow: ShadowVmcs | undefined;
  /** EFER of this VMM itself. */
  private readonly rootEfer: number;
  private inner: Vmcs12 | undefined;
  private initWaits = false;
  /** The guest's VMM is a bundled one: what comes back to it stops the run. */
  handsOver = false;
  /** Id of the rule that the last refused entry broke. */
  brokenRule: string | undefined;

  constructor(
    private readonly parts: NestedVmxParts,
    private readonly guest: VmxGuest,
    private readonly queueInterrupt: (vector: number) => void,
  ) {
    const { processor, vmx, setup } = parts;
    this.rootEfer = Number(processor.register("EFER"));
    this.held = new VmxMsrs(guest, parts);
    this.instructions = new VmxInstructions(guest, processor, this.held, () => this.memory.drop());
    this.memory = new InnerMemory(parts, guest, (pointer) => this.instructions.isEptPointer(pointer));
    this.own = ownInterceptions(vmx, setup.controls);
    this.vmcs02 = new Vmcs02({ ...parts, region: parts.regions[1], own: this.own });
    this.hostState = new HostStateLoader(guest, processor);
    this.shadow = ShadowVmcs.on(parts);
    guest.crRules = { cr4Offered: cr4Bits.VMXE, cr0Required: 0n, cr4Required: 0n };
  }

  /** The control words in force while an inner guest is the one that runs. */
  get innerControls(): ControlValues | undefined {
    return this.inner && this.vmcs02.controls;
  }

  /** Bits of an execution control word that the guest's VMM asked for: they stay whatever this VMM turns off. */
  kept(word: "pin" | "primary" | "secondary"): number {
    return this.inner?.word(word) ?? 0;
  }

  /** A field of the guest's current VMCS. */
  readVmcs(encoding: number): bigint {
    return this.currentVmcs?.read(encoding) ?? 0n;
  }

  /** The guest's physical address behind one of the guest that runs. */
  physical(address: bigint): bigint | undefined {
    return this.inner ? this.memory.translate(this.inner, address) : address;
  }

  /** Deals with an exit if it concerns VMX of the guest; undefined where it is handled as any other. */
  take(reason: number): Taken | undefined {
    const taken = this.inner && this.fromInner(this.inner, reason);
    if (taken) return taken;
    if (reason === reasons.rdmsr || reason === reasons.wrmsr) return this.held.take(reason === reasons.wrmsr);
    if (this.inner) return undefined;
    if (reason === reasons.cpuid) return this.cpuid();
    if (reason === reasons.init && this.instructions.isOn) return this.holdInit();
    const name = vmxExitByNumber(reason)?.name ?? "";
    return instructionNames.has(name) ? this.instruction(name) : undefined;
  }

  /** "VMX Operation": INIT is blocked in root operation, and exits from the next guest. */
  private holdInit(): Taken {
    this.guest.classify("internal");
    this.initWaits = true;
    return {};
  }

  private cpuid(): Taken {
    const { guest } = this;
    guest.classify("public");
    const leaf = guest.general(gpr.rax) & 0xffff_ffffn;
    emulateCpuid(guest);
    if (leaf === 1n) guest.setGeneral(gpr.rcx, guest.general(gpr.rcx) | vmxFeature);
    guest.emulated("CPUID");
    guest.advance();
    return {};
  }

  get isInnerRunning(): boolean {
    return this.inner !== undefined;
  }

  /** The checks of VM entry on the guest's current VMCS. */
  checkCurrent(): EntryFailure | undefined {
    const vmcs = this.currentVmcs;
    return vmcs && this.check(vmcs);
  }

  /** Takes a guest's guest that runs out of the processor: its state is then in the VMCS of its VMM. */
  leaveInner(): void {
    const { suspend } = this.parts;
    suspend();
    const vmcs = this.inner;
    if (vmcs === undefined) return;
    const left = this.left(false);
    this.putBack(vmcs);
    this.hostState.load(vmcs, left);
    this.publish(vmcs);
  }

  private instruction(name: string): Taken {
    const { guest, instructions } = this;
    guest.classify("assist");
    this.shadow?.collect(instructions.current);
    const fault = instructions.before(name);
    if (fault) instructions.conclude(fault);
    else if (name === "VMLAUNCH" || name === "VMRESUME") {
      const taken = this.enter(name === "VMRESUME");
      if (this.inner || taken.stop) return taken;
    } else instructions.conclude(instructions.execute(name));
    if (name === "VMXON" || name === "VMXOFF") this.obeyFixedBits();
    this.publish(instructions.current);
    return {};
  }

  /** What a bundled VMM executes takes no time of its guest, as long as it exits: it has no shadow VMCS. */
  private publish(vmcs: Vmcs12 | undefined): void {
    if (!this.handsOver) this.shadow?.publish(vmcs);
  }

  /** The VMCS that the guest's VMM has made current, with what it has written since. */
  private get currentVmcs(): Vmcs12 | undefined {
    const { current } = this.instructions;
    if (!this.inner) this.shadow?.collect(current);
    return current;
  }

  /** VMX operation keeps bits of CR0 and CR4 at 1. */
  private obeyFixedBits(): void {
    const { guest, instructions } = this;
    const fixed = (msr: number): bigint => (instructions.isOn ? (offeredMsr(guest.platform.cpu, msr) ?? 0n) : 0n);
    guest.crRules = {
      cr4Offered: cr4Bits.VMXE,
      cr0Required: fixed(vmxMsrs.cr0Fixed0),
      cr4Required: fixed(vmxMsrs.cr4Fixed0),
    };
  }

  // Entry ---------------------------------------------------------------------------------------------------------

  private enter(resume: boolean): Taken {
    const { instructions, guest } = this;
    const vmcs = instructions.current;
    const refused = this.basicFailure(vmcs, resume);
    if (refused || vmcs === undefined) {
      instructions.conclude(refused ?? { kind: "fail", error: 0, rule: "vmx.no_current_vmcs" });
      return {};
    }
    const { rip } = guest;
    this.vmcs02.inherit();
    const failure = this.ask(vmcs);
    this.brokenRule = failure?.rule;
    if (failure === undefined) return this.run(vmcs, rip);
    this.parts.vmx.load(this.parts.regions[0]);
    if (failure.kind === "reject") return this.reject(vmcs, BigInt(failure.qualification ?? 0), failure.rule ?? "");
    instructions.conclude({ kind: "fail", error: failure.number, rule: failure.rule ?? "" });
    return {};
  }

  private basicFailure(vmcs: Vmcs12 | undefined, resume: boolean) {
    const { instructions } = this;
    if (vmcs === undefined) return instructions.fail(0, "vmx.no_current_vmcs");
    if (vmcs.isShadow) return { kind: "fail", error: 0, rule: "entry.shadow_vmcs" } as const;
    if (instructions.isBlockedByMovSs) return instructions.fail(26, "entry.mov_ss");
    if (!resume && vmcs.launched) return instructions.fail(4, "vmlaunch.clear");
    return resume && !vmcs.launched ? instructions.fail(5, "vmresume.launched") : undefined;
  }

  /** The processor's own checks, asked of the VMCS of the guest's VMM in that one's mode. */
  private check(vmcs: Vmcs12): EntryFailure | undefined {
    const failure = this.ask(vmcs);
    this.parts.vmx.load(this.parts.regions[0]);
    return failure;
  }

  /** As `check`, and leaves the VMCS current. */
  private ask(vmcs: Vmcs12): EntryFailure | undefined {
    const { processor, vmx } = this.parts;
    const isOther = ((this.rootEfer ^ vmx.read32(field.efer)) & longModeActive) !== 0;
    if (isOther) processor.setRegister("EFER", this.guest.register("EFER"));
    vmx.load(vmcs.address);
    const failure = vmx.check();
    if (isOther) processor.setRegister("EFER", BigInt(this.rootEfer));
    return failure;
  }

  private run(vmcs: Vmcs12, rip: bigint): Taken {
    const { guest, parts } = this;
    const { processor, vmx, regions } = parts;
    this.vmcs02.enter(vmcs, this.memory.choose(vmcs));
    this.inner = vmcs;
    const count = vmcs.read32(parameters.entryLoadCount);
    const failed = count === 0 ? undefined : loadArea(guest, processor, vmcs.read(parameters.entryLoadAddress), count);
    if (failed) {
      const left = this.left(false);
      this.inner = undefined;
      vmx.load(regions[0]);
      return this.rejectWith(vmcs, reasons.msrLoading, BigInt(failed.entry), failed.rule, left);
    }
    vmcs.launched = true;
    if (guest.events.listening) guest.events.entered(rip, vmcs.address, vmcs.read(field.rip));
    if (this.initWaits) this.exitAtOnce(vmcs);
    return {};
  }

  /** An INIT that waited comes behind what the entry injects: a preemption timer of 0 exits there, in its place. */
  private exitAtOnce(vmcs: Vmcs12): void {
    const { vmx } = this.parts;
    const { controls } = this.vmcs02;
    if (vmcs.read32(field.activity) === waitForSipi) return;
    controls.pin = (controls.pin | placeOf("ACTIVATE_VMX_PREEMPTION_TIMER").mask) >>> 0;
    vmx.write(field.pinControls, BigInt(controls.pin));
    vmx.write(parameters.timer, 0n);
  }

  private initSignal(vmcs: Vmcs12): Taken {
    this.guest.classify("internal");
    this.initWaits = false;
    return this.reflect(vmcs, reasons.init, undefined, {
      as: { subject: "INIT_SIGNAL", fields: {} },
      fields: [
        [field.exitReason, BigInt(reasons.init)],
        [parameters.timer, vmcs.read(parameters.timer)],
      ],
    });
  }

  // Exit ----------------------------------------------------------------------------------------------------------

  private fromInner(vmcs: Vmcs12, reason: number): Taken | undefined {
    const { vmx, processor } = this.parts;
    if (reason === ept.violation && vmcs.control("ENABLE_EPT")) return this.eptViolation(vmcs);
    if (reason === ept.misconfiguration) {
      this.memory.drop();
      return this.reflect(vmcs, reason, "internal");
    }
    // Behind what the entry injects the monitor trap flag comes before the timer, and INIT before both.
    if ((reason === reasons.timer || reason === reasons.monitorTrap) && this.initWaits) return this.initSignal(vmcs);
    if (reason === reasons.vmfunc) return this.vmFunction(vmcs);
    if (reason === reasons.cr) return this.reflect(vmcs, reason, "internal");
    if (ofVirtualApic.has(reason)) return this.reflect(vmcs, reason, "internal");
    // Without the control this exit is one that the guest's VMM injected.
    const steps = (this.vmcs02.controls.primary & placeOf("MONITOR_TRAP_FLAG").mask) !== 0;
    if (reason === reasons.monitorTrap && !steps) return this.reflect(vmcs, reason, "internal");
    const facts: ExitFacts = {
      reason,
      qualification: vmx.read(field.exitQualification),
      interruption: vmx.read32(field.exitInterruption),
      errorCode: vmx.read32(field.exitErrorCode),
      rcx: this.guest.general32(gpr.rcx),
    };
    const readByte = (address: bigint): number => processor.readPhysical(address, 1)[0] ?? 0;
    if (!causesExit(new InnerInterceptions(vmcs), facts, readByte)) return undefined;
    const isPublic = this.guest.events.listening && causesExit(this.own, facts, readByte);
    return this.reflect(vmcs, reason, isPublic ? "public" : "internal");
  }

  private eptViolation(vmcs: Vmcs12): Taken {
    const { guest } = this;
    const settled = this.memory.settle(vmcs);
    guest.classify(settled.kind === "denied" ? "public" : "internal");
    if (settled.kind === "denied") return this.refuse("a nested guest needs memory that the declared policy denies");
    if (settled.kind === "exit") return this.reflect(vmcs, ept.violation, undefined, settled.change);
    const raised = this.settle();
    if (raised) return raised;
    this.redeliver();
    return {};
  }

  private vmFunction(vmcs: Vmcs12): Taken {
    this.guest.classify("internal");
    return this.memory.vmFunction(vmcs) ? {} : this.reflect(vmcs, reasons.vmfunc, undefined);
  }

  /** An event whose delivery the exit interrupted goes in again. */
  private redeliver(): void {
    const { vmx } = this.parts;
    const vectoring = vmx.read(field.idtVectoring);
    if ((vectoring & entryFailed) === 0n || vmx.read32(field.entryInterruption) >>> 31 === 1) return;
    vmx.write(field.entryInterruption, vectoring & ~(1n << 12n));
    vmx.write(field.entryErrorCode, vmx.read(field.idtVectoringError));
    vmx.write(field.entryInstructionLength, vmx.read(field.exitInstructionLength));
  }

  /** Whether a guest's guest runs whose VMM asked for a control. */
  wants(name: VmxControlName): boolean {
    return this.inner?.control(name) === true;
  }

  /** An interrupt or NMI that waited for the guest is an exit of its guest. */
  interrupt({ vector, type }: { readonly vector: number; readonly type: number }): Taken {
    const vmcs = this.inner;
    if (vmcs === undefined) return {};
    const isNmi = type === eventTypes.nmi;
    const reason = isNmi ? reasons.exceptionOrNmi : reasons.externalInterrupt;
    const subject = isNmi ? "EXCEPTION_NMI" : "EXTERNAL_INTERRUPT";
    return this.reflect(vmcs, reason, undefined, {
      as: { subject, fields: { vector: BigInt(vector) } },
      fields: [
        [field.exitReason, BigInt(reason)],
        [field.exitQualification, 0n],
        [field.exitInterruption, entryFailed | BigInt((type << 8) | vector)],
        [field.idtVectoring, 0n],
      ],
    });
  }

  /** An exception that this VMM raised in the guest's guest is an exit where that one's VMM asks for it. */
  settle(): Taken | undefined {
    const vmcs = this.inner;
    const { vmx, processor } = this.parts;
    const event = Number(vmx.read(field.entryInterruption) & 0xffff_ffffn);
    const isException = (event & 0x8000_0000) !== 0 && ((event >> 8) & 7) === eventTypes.hardwareException;
    if (vmcs === undefined || !isException) return undefined;
    const errorCode = vmx.read32(field.entryErrorCode);
    const facts = { reason: 0, qualification: 0n, interruption: event, errorCode, rcx: 0 };
    if (!causesExit(new InnerInterceptions(vmcs), facts, () => 0)) return undefined;
    const vector = event & 0xff;
    const hasCode = (event & 0x800) !== 0;
    vmx.write(field.entryInterruption, 0n);
    return this.reflect(vmcs, reasons.exceptionOrNmi, undefined, {
      as: { subject: "EXCEPTION_NMI", fields: { vector: BigInt(vector), ...(hasCode && { code: BigInt(errorCode) }) } },
      fields: [
        [field.exitReason, 0n],
        [field.exitQualification, vector === 14 ? processor.register("CR2") : 0n],
        [field.exitInterruption, BigInt(event >>> 0)],
        [field.exitErrorCode, BigInt(errorCode)],
        [field.idtVectoring, 0n],
      ],
    });
  }

  /** The exit goes on to the guest's VMM: of a class that is not told yet, or as another one. */
  private reflect(
    vmcs: Vmcs12,
    reason: number,
    exitClass: "public" | "internal" | undefined,
    change?: ExitChange,
  ): Taken {
    const { guest } = this;
    const { processor, vmx } = this.parts;
    if (exitClass) guest.classify(exitClass);
    if (guest.events.listening) guest.events.reflect(vmcs.address, change?.as);
    const changed = change?.fields.find(([encoding]) => encoding === field.exitInterruption)?.[1];
    const interruption = changed === undefined ? vmx.read32(field.exitInterruption) : Number(changed);
    const left = this.left(reason === reasons.exceptionOrNmi && ((interruption >> 8) & 7) === nmiType);
    const count = vmcs.read32(parameters.storeCount);
    const stored = count === 0 || storeArea(guest, processor, vmcs.read(parameters.storeAddress), count);
    this.putBack(vmcs);
    for (const [encoding, value] of change?.fields ?? []) vmcs.write(encoding, value);
    if (!stored) return this.abort();
    const isAcknowledged = (interruption & 0x8000_0000) !== 0;
    if (reason === reasons.externalInterrupt && isAcknowledged && !vmcs.control("ACKNOWLEDGE_INTERRUPT_ON_EXIT")) {
      vmcs.write32(field.exitInterruption, 0);
      this.queueInterrupt(interruption & 0xff);
    }
    return this.goOn(vmcs, left);
  }

  /** What of the guest that the current VMCS is of survives an exit. */
  private left(nmi: boolean): Left {
    const { vmx } = this.parts;
    return { cr0: vmx.read32(field.cr0), efer: vmx.read32(field.efer), nmi };
  }

  /** The state of the inner guest goes into 12, and 01 is current again. */
  private putBack(vmcs: Vmcs12): void {
    const { vmx, regions } = this.parts;
    this.vmcs02.save(vmcs);
    this.inner = undefined;
    vmx.load(regions[0]);
  }

  private reject(vmcs: Vmcs12, qualification: bigint, rule: string): Taken {
    return this.rejectWith(vmcs, reasons.guestState, qualification, rule, this.left(false));
  }

  /** "VM-Entry Failures During or After Loading Guest State". */
  private rejectWith(vmcs: Vmcs12, reason: number, qualification: bigint, rule: string, left: Left): Taken {
    this.brokenRule = rule;
    const { events, rip } = this.guest;
    const isState = reason === reasons.guestState;
    const fields = isState ? { qualification } : { entry: qualification };
    if (events.listening)
      events.append({ kind: "reject", subject: isState ? "guest_state" : "msr_load", fields, rule, rip });
    vmcs.write(field.exitReason, BigInt(reason) | entryFailed);
    vmcs.write(field.exitQualification, qualification);
    return this.goOn(vmcs, left);
  }

  private goOn(vmcs: Vmcs12, left: Left): Taken {
    const { guest } = this;
    const { processor } = this.parts;
    this.hostState.load(vmcs, left);
    const count = vmcs.read32(parameters.exitLoadCount);
    const failed = count !== 0 && loadArea(guest, processor, vmcs.read(parameters.exitLoadAddress), count);
    if (failed) return this.abort();
    this.publish(vmcs);
    return this.handsOver ? { stop: { kind: "vm-exit" } } : {};
  }

  /** "VMX Aborts": the guest's processor shuts down. */
  private abort(): Taken {
    const { events, rip } = this.guest;
    if (events.listening) events.append({ kind: "shutdown", rip });
    return { stop: { kind: "shutdown" } };
  }

  private refuse(why: string): Taken {
    const { events, rip } = this.guest;
    if (events.listening) events.append({ kind: "refuse", rip, note: why });
    return { stop: { kind: "refused", why } };
  }
}
