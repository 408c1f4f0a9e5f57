// A VMCS of the guest's VMM: in the guest's own memory, in the layout of the processor itself, so that the processor's
// checks can be asked of it. Intel SDM vol. 3C, "Format of the VMCS Region".

import {
  findVmxControl,
  launchStateOffsetBytes,
  slotOffsetBytes,
  vmcsEncoding,
  widthOfEncoding,
  type VmxControlName,
} from "../../../isa/index.js";
import type { Processor } from "../../virtualization.js";
import type { VmcsControlWord } from "./offer.js";

const wordField = {
  pin: vmcsEncoding("PIN_BASED_VM_EXECUTION_CONTROLS"),
  primary: vmcsEncoding("PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS"),
  secondary: vmcsEncoding("SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS"),
  exit: vmcsEncoding("VM_EXIT_CONTROLS"),
  entry: vmcsEncoding("VM_ENTRY_CONTROLS"),
} as const;

const secondaryActive = 0x8000_0000;

export class Vmcs12 {
  constructor(
    private readonly processor: Processor,
    /** Physical address of the region, within the guest's memory. */
    readonly address: bigint,
  ) {}

  /** A field by its encoding for full access. */
  read(encoding: number): bigint {
    return this.processor.readU64(this.address + BigInt(slotOffsetBytes(encoding)));
  }

  /** Cut to the field's width; `encoding` may be that of the high half of a 64-bit field. */
  write(encoding: number, value: bigint): void {
    const at = this.address + BigInt(slotOffsetBytes(encoding));
    if ((encoding & 1) !== 0) this.processor.writeU32(at + 4n, Number(value & 0xffff_ffffn));
    else this.processor.writeU64(at, cut(encoding, value));
  }

  /** A control word; the secondary one counts only while it is activated. */
  word(name: VmcsControlWord): number {
    const value = Number(this.read(wordField[name]) & 0xffff_ffffn);
    if (name !== "secondary") return value;
    return (this.word("primary") & secondaryActive) === 0 ? 0 : value;
  }

  control(name: VmxControlName): boolean {
    const control = findVmxControl(name);
    if (control === undefined || control.word === "vmfunc") return false;
    return ((this.word(control.word) >>> control.bit) & 1) === 1;
  }

  get launched(): boolean {
    return this.processor.readU32(this.address + BigInt(launchStateOffsetBytes)) === 1;
  }

  set launched(value: boolean) {
    this.processor.writeU32(this.address + BigInt(launchStateOffsetBytes), value ? 1 : 0);
  }
}

function cut(encoding: number, value: bigint): bigint {
  const width = widthOfEncoding(encoding);
  return width === 16 ? value & 0xffffn : width === 32 ? value & 0xffff_ffffn : value;
}
