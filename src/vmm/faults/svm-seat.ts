// Where a fault of a VMM on SVM sits: between the VMM and SVM. It sees each VMRUN before the processor does, and each
// #VMEXIT before the VMM does.

import { svmExitByCode } from "../../isa/index.js";
import { Vmcb, vmcbBytes } from "../hardware/svm/vmcb.js";
import type { EntryFailure, Processor, SvmOperations } from "../virtualization.js";
import type { Hooks } from "./fault.js";
import { over } from "./over.js";
import { VendorSeat } from "./vendor-seat.js";

/** What is remembered of an exit. */
export interface SvmExit {
  readonly name: string;
  readonly rip: bigint;
  readonly interruptShadow: bigint;
  readonly cr2: bigint;
  /** Low halves of RAX and RCX. */
  readonly eax: number;
  readonly ecx: number;
  readonly inner: boolean;
  /** EVENTINJ of the entry before it. */
  readonly injected: bigint;
}

const pageMask = ~0xfffn;
const longestInstruction = 15n;

export class SvmSeat extends VendorSeat<SvmExit> {
  private own: bigint | undefined;
  private current = 0n;
  private address12 = 0n;

  constructor(
    readonly svm: SvmOperations,
    processor: Processor,
    private readonly hooks: Hooks<SvmSeat>,
  ) {
    super(processor);
  }

  /** A guest's guest is the one that is entered or has exited. */
  get inner(): boolean {
    return this.current !== this.own;
  }

  /** The VMCB in use. */
  get vmcb(): Vmcb {
    return this.at(this.current);
  }

  /** The VMM's VMCB of its own guest. */
  get vmcb01(): Vmcb {
    return this.at(this.own ?? 0n);
  }

  /** The VMCB of the guest's VMM, by its last VMRUN. */
  get vmcb12(): Vmcb {
    return this.at(this.address12);
  }

  /** The VMM has carried out the instruction that exited and goes on behind it. */
  get isCompleted(): boolean {
    const { last } = this;
    if (!last || last.inner !== this.inner) return false;
    const distance = this.vmcb.get("rip") - last.rip;
    return distance > 0n && distance <= longestInstruction;
  }

  /** SVM as the VMM finds it. */
  operations(): SvmOperations {
    const { svm, hooks } = this;
    return over<SvmOperations>(svm, {
      enter: (vmcb) => {
        this.own ??= vmcb;
        this.current = vmcb;
        return this.enter();
      },
      check: (vmcb) => {
        const failure = svm.check(vmcb);
        return hooks.check ? hooks.check(failure, this) : failure;
      },
      ...(hooks.keepsTranslations && { invalidate: () => {} }),
      ...(hooks.losesNmi && { putBackNmi: () => {} }),
    });
  }

  protected entryHook(): void {
    this.hooks.entry?.(this);
  }

  protected exitHook(): "again" | undefined {
    return this.hooks.exit?.(this);
  }

  protected get injection(): bigint {
    return this.vmcb.get("eventinj");
  }

  protected enterProcessor(): EntryFailure | undefined {
    return this.svm.enter(this.current);
  }

  protected putBack(): void {
    this.svm.save(this.current);
  }

  protected remember(): SvmExit {
    const { vmcb, processor } = this;
    const name = svmExitByCode(vmcb.get("exitcode"))?.name ?? "";
    if (name === "VMRUN" && !this.inner) this.address12 = vmcb.get("rax") & pageMask;
    return {
      name,
      rip: vmcb.get("rip"),
      interruptShadow: vmcb.get("interruptShadow"),
      cr2: vmcb.get("cr2"),
      eax: Number(vmcb.get("rax") & 0xffff_ffffn),
      ecx: processor.general32(1),
      inner: this.inner,
      injected: this.injected,
    };
  }

  private at(address: bigint): Vmcb {
    return new Vmcb(address, this.processor.window(address, vmcbBytes));
  }
}
