// The `hardware` VMM on SVM: VMRUN, and what a #VMEXIT asks for.

import { flagBits } from "../../../isa/index.js";
import type { StartState } from "../../../program/index.js";
import type { GuestProcessor, LevelStop } from "../../bundled.js";
import type { PageAllocator } from "../../page-allocator.js";
import type { RingZero, SvmOperations } from "../../virtualization.js";
import { eventTypes } from "../exited-guest.js";
import { guestMsr } from "../msr.js";
import type { GuestParts } from "../guest-base.js";
import { VcpuSeat } from "../vcpu-seat.js";
import { HardwareVcpu } from "../hardware-vcpu.js";
import { handleExit } from "./exits.js";
import { mapNestedHole, openNestedPage } from "./nested-tables.js";
import type { ShadowTables } from "../shadow-paging.js";
import type { NestedSvm } from "../../nested/index.js";
import { SvmShadow } from "./shadow-registers.js";
import { hasBranches, interceptBits, type SvmSetup } from "./setup.js";
import { SvmGuest } from "./svm-guest.js";
import { VmcbStore, type Vmcb } from "./vmcb.js";

const valid = 1n << 31n;
const invalidVmcb = 0xffff_ffff_ffff_ffffn;

export interface SvmVcpuParts extends GuestParts {
  readonly svm: SvmOperations;
  readonly setup: SvmSetup;
  readonly start: StartState;
  readonly pages: PageAllocator;
  /** Where the hardware has no nested paging. */
  readonly tables: ShadowTables | undefined;
  readonly ringZero: RingZero;
}

export class SvmVcpu extends HardwareVcpu<SvmGuest> {
  readonly guest: SvmGuest;
  readonly shadow: SvmShadow | undefined;
  readonly seat?: GuestProcessor;
  private readonly svm: SvmOperations;
  readonly store: VmcbStore;
  private readonly nestedRoot: bigint;
  private readonly pages: PageAllocator;
  private steps: (() => void)[] = [];
  private isDelivered = false;
  private onExit: (() => void)[] = [];
  /** SVM for the guest, where it is given. */
  nested: NestedSvm | undefined;
  private flagsBeforeStep: bigint | undefined;

  constructor(parts: SvmVcpuParts) {
    super(parts.processor, parts.svm, parts.ringZero);
    const { vmcb } = parts.setup;
    const { tables, svm, start } = parts;
    this.shadow = tables && new SvmShadow(tables, vmcb, svm, start);
    this.store = new VmcbStore(vmcb, hasBranches(parts.processor));
    this.guest = new SvmGuest({ ...parts, store: this.store, shadow: this.shadow });
    this.svm = parts.svm;
    this.pages = parts.pages;
    this.nestedRoot = parts.setup.nestedRoot;
    // The processor's own tables are the VMM's, and hold only what the guest has used.
    if (tables) this.seat = new VcpuSeat(parts.processor, this);
  }

  levelMsr(address: number): bigint | undefined {
    return this.nested?.held.read(address) ?? guestMsr(this.suspend(), address);
  }

  setLevelMsr(address: number, value: bigint): boolean {
    return this.nested?.held.write(address, value) ?? this.guest.wrmsr(address, value);
  }

  /** The event whose delivery the exit cut short has been delivered by the VMM. */
  eventIsDelivered(): void {
    this.isDelivered = true;
  }

  protected get isInjecting(): boolean {
    return (this.guest.vmcb.get("eventinj") & valid) !== 0n;
  }

  /** The NMI that the exit took arrives again. */
  putBackNmi(): void {
    this.svm.putBackNmi();
  }

  /** What to do first when the guest exits again. */
  atNextExit(action: () => void): void {
    this.onExit.push(action);
  }

  setIntercept(exit: string, value: boolean): void {
    for (const { offset, mask } of interceptBits(exit)) {
      const bits = this.vmcb.readU32(offset);
      this.vmcb.writeU32(offset, value ? bits | mask : bits & ~mask);
    }
  }

  interceptIsSet(exit: string): boolean {
    return interceptBits(exit).some(({ offset, mask }) => (this.vmcb.readU32(offset) & mask) !== 0);
  }

  /** Allows every access to one page; the function given back undoes it. */
  openPage(guestPhysical: bigint): () => void {
    const close = openNestedPage(this.processor, this.nestedRoot, guestPhysical);
    return () => {
      close();
      this.svm.invalidate();
    };
  }

  /** Gives the guest a page outside its memory. */
  mapHole(guestPhysical: bigint): void {
    mapNestedHole(this.processor, this.pages, this.nestedRoot, guestPhysical);
  }

  /** SVM has no monitor trap flag: a step is TF in the guest's flags, and the #DB after the instruction is ours. */
  beginStep(after: () => void): void {
    const flags = this.vmcb.get("rflags");
    const intercepted = this.interceptIsSet("#DB");
    this.flagsBeforeStep = flags;
    this.vmcb.set("rflags", flags | flagBits.TF);
    this.setIntercept("#DB", true);
    this.steps.push(() => {
      if (!intercepted) this.setIntercept("#DB", false);
      after();
    });
  }

  /** True where the #DB that exited ends a step of the VMM's; TF is then the guest's again. */
  endStep(): boolean {
    if (this.flagsBeforeStep === undefined) return false;
    const trapFlag = this.flagsBeforeStep & flagBits.TF;
    this.flagsBeforeStep = undefined;
    this.vmcb.set("rflags", (this.vmcb.get("rflags") & ~flagBits.TF) | trapFlag);
    for (const action of this.steps) action();
    this.steps = [];
    return trapFlag === 0n;
  }

  /** The VMCB of the guest that runs. */
  private get vmcb(): Vmcb {
    return this.store.vmcb;
  }

  protected enter(): LevelStop | undefined {
    this.guest.hasInjected = false;
    this.nested?.beforeEntry();
    const failure = this.svm.enter(this.vmcb.address);
    if (failure) return this.refuse(`VMRUN refuses the guest's state: ${failure.rule ?? "INVALID"}`);
    return undefined;
  }

  protected handle(): LevelStop | undefined {
    const { vmcb } = this;
    this.svm.save(vmcb.address);
    this.isDelivered = false;
    const code = vmcb.get("exitcode");
    if (code === invalidVmcb) throw new Error("internal error: the VMM made a VMCB that VMRUN does not take");
    vmcb.set("eventinj", 0n);
    this.nested?.afterExit();
    const waiting = this.onExit;
    this.onExit = [];
    for (const action of waiting) action();
    const taken = this.nested?.take(code);
    const over = (taken ? taken.stop : handleExit(this, code)) ?? this.nested?.settle()?.stop;
    // Another guest goes on where the exit was handed on or a guest's guest begins.
    if (over || this.vmcb !== vmcb) return over;
    const interrupted = vmcb.get("exitintinfo");
    const isLost = (interrupted & valid) !== 0n && !this.isDelivered && !this.guest.hasInjected;
    if (isLost && !isRestarted(interrupted)) {
      vmcb.set("eventinj", interrupted);
      this.guest.hasInjected = true;
    }
    return undefined;
  }
}

/**
 * Whether the guest's RIP is that of the instruction whose event was being delivered, so that going on there raises it
 * again: INT n, INT3 and INTO. Going in again it would push that RIP.
 */
function isRestarted(exitIntInfo: bigint): boolean {
  const type = Number((exitIntInfo >> 8n) & 7n);
  const vector = exitIntInfo & 0xffn;
  return (
    type === eventTypes.softwareInterrupt || (type === eventTypes.hardwareException && (vector === 3n || vector === 4n))
  );
}
