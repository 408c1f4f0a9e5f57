// The `hardware` VMM on SVM: one guest on one virtual processor. VMRUN, run, handle the #VMEXIT, and VMRUN again.

import { flagBits } from "../../../isa/index.js";
import type { StartState } from "../../../program/index.js";
import type { BundledVmm, GuestState, VmmStop } from "../../bundled.js";
import type { Processor, SvmOperations } from "../../virtualization.js";
import { ExitBudget } from "../exit-budget.js";
import { handleExit } from "./exits.js";
import { openNestedPage } from "./nested-tables.js";
import type { ShadowTables } from "../shadow-paging.js";
import { SvmShadow } from "./shadow-registers.js";
import { interceptBits, type SvmSetup } from "./setup.js";
import { SvmGuest, type SvmGuestParts } from "./svm-guest.js";
import type { Vmcb } from "./vmcb.js";

const valid = 1n << 31n;
const invalidVmcb = 0xffff_ffff_ffff_ffffn;

export interface SvmVcpuParts extends Omit<SvmGuestParts, "vmcb" | "shadow"> {
  readonly svm: SvmOperations;
  readonly setup: SvmSetup;
  readonly start: StartState;
  /** Where the hardware has no nested paging. */
  readonly tables: ShadowTables | undefined;
}

export class SvmVcpu implements BundledVmm {
  readonly guest: SvmGuest;
  readonly shadow: SvmShadow | undefined;
  private readonly processor: Processor;
  private readonly svm: SvmOperations;
  private readonly vmcb: Vmcb;
  private readonly nestedRoot: bigint;
  private readonly budget: ExitBudget;
  private inGuest = false;
  private steps: (() => void)[] = [];
  private onExit: (() => void)[] = [];
  private flagsBeforeStep: bigint | undefined;

  constructor(parts: SvmVcpuParts) {
    const { vmcb } = parts.setup;
    const { tables, svm, start } = parts;
    this.shadow = tables && new SvmShadow(tables, vmcb, svm, start);
    this.guest = new SvmGuest({ ...parts, vmcb, shadow: this.shadow });
    this.processor = parts.processor;
    this.budget = new ExitBudget(parts.processor);
    this.svm = parts.svm;
    this.vmcb = parts.setup.vmcb;
    this.nestedRoot = parts.setup.nestedRoot;
  }

  run(budgetInstructions: number): VmmStop {
    const { budget } = this;
    budget.begin(budgetInstructions);
    for (;;) {
      if (!this.inGuest) this.enter();
      const stop = this.processor.run(budget.left);
      if (stop.kind !== "vm-exit") return stop;
      this.inGuest = false;
      const over = this.handle();
      if (over) return over;
      if (budget.isSpentAfterExit()) return { kind: "budget-spent" };
    }
  }

  get state(): GuestState {
    return this.inGuest ? this.guest.running : this.guest;
  }

  /** Ends the guest with a reason. */
  refuse(why: string): VmmStop {
    const { events, rip } = this.guest;
    if (events.listening) events.append({ kind: "refuse", rip, note: why });
    return { kind: "refused", why };
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

  private enter(): void {
    this.guest.hasInjected = false;
    const failure = this.svm.enter(this.vmcb.address);
    if (failure) throw new Error(`internal error: the VMM could not enter its guest: ${failure.rule ?? "INVALID"}`);
    this.inGuest = true;
  }

  private handle(): VmmStop | undefined {
    const { vmcb } = this;
    this.svm.save(vmcb.address);
    const code = vmcb.get("exitcode");
    if (code === invalidVmcb) throw new Error("internal error: the VMM made a VMCB that VMRUN does not take");
    vmcb.set("eventinj", 0n);
    const waiting = this.onExit;
    this.onExit = [];
    for (const action of waiting) action();
    const over = handleExit(this, code);
    if (over) return over;
    const interrupted = vmcb.get("exitintinfo");
    if ((interrupted & valid) !== 0n && !this.guest.hasInjected) {
      vmcb.set("eventinj", interrupted);
      this.guest.hasInjected = true;
    }
    return undefined;
  }
}
