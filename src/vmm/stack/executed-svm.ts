// SVM for a VMM that is the guest of another: every operation is an instruction of that guest.
// AMD APM vol. 3, "System Instruction Reference".

import { eferBits, msrAddresses } from "../../isa/index.js";
import type { EntryFailure, Processor, SvmOperations } from "../virtualization.js";
import type { InstructionRunner } from "./instruction-runner.js";

const code = {
  vmrun: "0f 01 d8",
  vmload: "0f 01 da",
  vmsave: "0f 01 db",
  clgi: "0f 01 dd",
  invlpga: "0f 01 df",
} as const;

/** What the nesting part of the VMM outside does for a VMM that runs on it. */
export interface SvmOutside {
  readonly isInnerRunning: boolean;
  /** Id of the rule that the last refused entry broke. */
  readonly brokenRule: string | undefined;
  leaveInner(): void;
}

export class ExecutedSvm implements SvmOperations {
  constructor(
    private readonly runner: InstructionRunner,
    private readonly outside: SvmOutside,
    private readonly processor: Processor,
    /** The machine's own, for what is knowledge and no instruction. */
    private readonly machine: SvmOperations,
  ) {}

  start(hostSaveArea: bigint): void {
    const { processor } = this;
    processor.setRegister("CR3", this.runner.tables);
    processor.setRegister("EFER", processor.register("EFER") | eferBits.SVME);
    processor.writeMsr(msrAddresses.VM_HSAVE_PA, hostSaveArea);
    this.runner.run(code.clgi);
  }

  enter(vmcb: bigint): EntryFailure | undefined {
    this.runner.run(code.vmload, { rax: vmcb });
    this.runner.runAndLeave(code.vmrun, { rax: vmcb });
    if (this.outside.isInnerRunning) return undefined;
    const rule = this.outside.brokenRule;
    return { kind: "reject", number: 0, ...(rule !== undefined && { rule }) };
  }

  check(vmcb: bigint): EntryFailure | undefined {
    return this.machine.check(vmcb);
  }

  save(vmcb: bigint): void {
    this.runner.run(code.vmsave, { rax: vmcb });
  }

  suspend(): void {
    this.outside.leaveInner();
  }

  putBackNmi(): void {
    this.machine.putBackNmi();
  }

  invalidate(): void {
    this.runner.run(code.invlpga, { rax: 0n, rcx: 1n });
  }
}
