// VMX for a VMM that is the guest of another: every operation is an instruction of that guest.
// Intel SDM vol. 3C, "VMX Instruction Reference".

import { vmcsEncoding, widthOfEncoding, type FieldList } from "../../isa/index.js";
import type { EntryFailure, VmxOperations } from "../virtualization.js";
import type { InstructionRunner } from "./instruction-runner.js";

const instructionError = vmcsEncoding("VM_INSTRUCTION_ERROR");
const exitReason = vmcsEncoding("EXIT_REASON");
const flags = { carry: 1n, zero: 1n << 6n } as const;
const code = {
  vmxon: "f3 0f c7 30", // VMXON [RAX]
  vmclear: "66 0f c7 30", // VMCLEAR [RAX]
  vmptrld: "0f c7 30", // VMPTRLD [RAX]
  vmread: "0f 78 c2", // VMREAD RDX, RAX
  vmwrite: "0f 79 c2", // VMWRITE RAX, RDX
  vmlaunch: "0f 01 c2",
  vmresume: "0f 01 c3",
  invept: "66 0f 38 80 10", // INVEPT RDX, [RAX]
} as const;
const singleContext = 1n;

/** What the nesting part of the VMM outside does for a VMM that runs on it. */
export interface VmxOutside {
  /** A guest of the guest is the one that runs. */
  readonly isInnerRunning: boolean;
  /** Id of the rule that the last refused entry broke. */
  readonly brokenRule: string | undefined;
  /** The checks of VM entry on the current VMCS of the guest. */
  checkCurrent(): EntryFailure | undefined;
  /** A field of the guest's current VMCS, without an instruction. */
  readVmcs(encoding: number): bigint;
  /** Takes a guest's guest that runs out of the processor: its state is then in the VMCS of its VMM. */
  leaveInner(): void;
}

export class ExecutedVmx implements VmxOperations {
  private readonly launched = new Set<bigint>();
  private current = 0n;

  constructor(
    private readonly runner: InstructionRunner,
    private readonly outside: VmxOutside,
    private readonly setRegister: (name: string, value: bigint) => void,
  ) {}

  start(region: bigint): void {
    this.setRegister("CR3", this.runner.tables);
    this.withPointer(code.vmxon, region);
  }

  clear(vmcs: bigint): void {
    this.launched.delete(vmcs);
    this.withPointer(code.vmclear, vmcs);
  }

  load(vmcs: bigint): void {
    this.current = vmcs;
    this.withPointer(code.vmptrld, vmcs);
  }

  /** While its guest runs a VMM executes nothing: what it is asked then is what it remembers. */
  read(field: number): bigint {
    if (this.outside.isInnerRunning) return this.outside.readVmcs(field);
    return this.runner.run(code.vmread, { rax: BigInt(field) });
  }

  read32(field: number): number {
    return Number(this.read(field) & 0xffff_ffffn);
  }

  write(field: number, value: bigint): void {
    const cut = BigInt.asUintN(widthOfField(field), value);
    this.runner.run(code.vmwrite, { rax: BigInt(field), rdx: cut });
  }

  write32(field: number, value: number): void {
    this.write(field, BigInt(value >>> 0));
  }

  readFields({ encodings, slots }: FieldList, into: Uint32Array): void {
    encodings.forEach((encoding, i) => {
      const value = this.read(encoding);
      const at = 2 * (slots[i] ?? 0);
      into[at] = Number(value & 0xffff_ffffn);
      into[at + 1] = Number(value >> 32n);
    });
  }

  writeFields({ encodings, slots }: FieldList, from: Uint32Array): void {
    encodings.forEach((encoding, i) => {
      const at = 2 * (slots[i] ?? 0);
      this.write(encoding, (BigInt(from[at + 1] ?? 0) << 32n) | BigInt(from[at] ?? 0));
    });
  }

  enter(): EntryFailure | undefined {
    const stop = this.runner.runAndLeave(this.launched.has(this.current) ? code.vmresume : code.vmlaunch);
    if (this.outside.isInnerRunning) {
      this.launched.add(this.current);
      return undefined;
    }
    const { brokenRule } = this.outside;
    const rule = brokenRule === undefined ? {} : { rule: brokenRule };
    if (stop?.kind === "vm-exit") return { kind: "reject", number: this.read32(exitReason) & 0xffff, ...rule };
    return { kind: "fail", number: this.read32(instructionError), ...rule };
  }

  check(): EntryFailure | undefined {
    return this.outside.checkCurrent();
  }

  suspend(): void {
    this.outside.leaveInner();
  }

  invalidateEpt(eptp: bigint): void {
    this.runner.setOperand(eptp, 0n);
    this.runner.run(code.invept, { rax: this.runner.operand, rdx: singleContext });
    this.mustSucceed("INVEPT");
  }

  private withPointer(instruction: string, pointer: bigint): void {
    this.runner.setOperand(pointer);
    this.runner.run(instruction, { rax: this.runner.operand });
    this.mustSucceed(instruction);
  }

  private mustSucceed(what: string): void {
    const failed = this.runner.vcpu.state.register("RFLAGS") & (flags.carry | flags.zero);
    if (failed !== 0n) throw new Error(`internal error: the instruction ${what} of a VMM failed`);
  }
}

/** Fields of natural width have 64 bits here: a level that others run on is one of a processor with long mode. */
function widthOfField(field: number): number {
  const width = widthOfEncoding(field);
  return typeof width === "number" ? width : 64;
}
