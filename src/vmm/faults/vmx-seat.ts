// Where a fault of a VMM on VT-x sits: between the VMM and VMX. It sees each entry before the processor does, and each
// exit before the VMM does.

import { slotOffsetBytes, vmcsEncoding, vmxExitByNumber } from "../../isa/index.js";
import { field } from "../hardware/vmx/vmcs-fields.js";
import type { EntryFailure, Processor, VmxOperations } from "../virtualization.js";
import type { Hooks } from "./fault.js";
import { over } from "./over.js";
import { VendorSeat } from "./vendor-seat.js";

/** What is remembered of an exit. */
export interface VmxExit {
  readonly name: string;
  readonly rip: bigint;
  readonly lengthBytes: number;
  readonly interruptibility: number;
  readonly qualification: bigint;
  readonly interruption: number;
  /** Low halves of RAX and RCX. */
  readonly eax: number;
  readonly ecx: number;
  readonly inner: boolean;
  /** The event that the entry before it had injected. */
  readonly injected: bigint;
}

const noShadow = 0xffff_ffff_ffff_ffffn;
const slotOf = (name: string): bigint => BigInt(slotOffsetBytes(vmcsEncoding(name)));

export class VmxSeat extends VendorSeat<VmxExit> {
  /** The VMCS of the guest's own VMM whose entry was checked last. */
  vmcs12 = 0n;
  private own: bigint | undefined;
  private innerVmcs: bigint | undefined;
  private current = 0n;

  constructor(
    readonly vmx: VmxOperations,
    processor: Processor,
    private readonly hooks: Hooks<VmxSeat>,
  ) {
    super(processor);
  }

  /** A guest's guest is the one that is entered or has exited. */
  get inner(): boolean {
    return this.current === this.innerVmcs;
  }

  read(name: string): bigint {
    return this.vmx.read(vmcsEncoding(name));
  }

  write(name: string, value: bigint): void {
    this.vmx.write(vmcsEncoding(name), value);
  }

  /** A field of the VMCS of the guest's VMM, which lies in the guest's memory. */
  read12(name: string): bigint {
    return this.processor.readU64(this.vmcs12 + slotOf(name));
  }

  /** Writes it there, and in the shadow VMCS from which the guest's VMM reads where there is one. */
  write12(name: string, value: bigint): void {
    const { processor } = this;
    processor.writeU64(this.vmcs12 + slotOf(name), value);
    const shadow = this.inner ? noShadow : this.read("VMCS_LINK_POINTER");
    if (shadow !== noShadow) processor.writeU64(shadow + slotOf(name), value);
  }

  /** The VMM has carried out the instruction that exited and goes on behind it. */
  get isCompleted(): boolean {
    const { last } = this;
    if (!last || last.inner !== this.inner || last.lengthBytes === 0) return false;
    return this.vmx.read(field.rip) === last.rip + BigInt(last.lengthBytes);
  }

  /** VMX as the VMM finds it. */
  operations(): VmxOperations {
    const { vmx, hooks } = this;
    return over<VmxOperations>(vmx, {
      load: (vmcs) => {
        if (this.own === undefined) this.own = vmcs;
        else if (vmcs !== this.own) this.innerVmcs ??= vmcs;
        this.current = vmcs;
        vmx.load(vmcs);
      },
      enter: () => this.enter(),
      check: () => {
        this.vmcs12 = this.current;
        const failure = vmx.check();
        return hooks.check ? hooks.check(failure, this) : failure;
      },
      ...(hooks.keepsTranslations && { invalidateEpt: () => {} }),
    });
  }

  protected entryHook(): void {
    this.hooks.entry?.(this);
  }

  protected exitHook(): "again" | undefined {
    return this.hooks.exit?.(this);
  }

  protected get injection(): bigint {
    return this.vmx.read(field.entryInterruption);
  }

  protected enterProcessor(): EntryFailure | undefined {
    return this.vmx.enter();
  }

  /** The VMCS has the guest's state already. */
  protected putBack(): void {}

  protected remember(): VmxExit {
    const { vmx, processor } = this;
    const reason = vmx.read32(field.exitReason) & 0xffff;
    return {
      name: vmxExitByNumber(reason)?.name ?? "",
      rip: vmx.read(field.rip),
      lengthBytes: vmx.read32(field.exitInstructionLength),
      interruptibility: vmx.read32(field.interruptibility),
      qualification: vmx.read(field.exitQualification),
      interruption: vmx.read32(field.exitInterruption),
      eax: processor.general32(0),
      ecx: processor.general32(1),
      inner: this.inner,
      injected: this.injected,
    };
  }
}
