// A VMCS of the guest's VMM: in the guest's own memory, in the layout of the processor itself, so that the processor's
// checks can be asked of it. Intel SDM vol. 3C, "Format of the VMCS Region".

import {
  imageWords,
  launchStateOffsetBytes,
  slotOf,
  slotsOffsetBytes,
  vmcsEncoding,
  widthOfEncoding,
  type VmxControlName,
} from "../../../isa/index.js";
import { placeOf } from "../../hardware/vmx/controls.js";
import type { Processor } from "../../virtualization.js";
import type { VmcsControlWord } from "./offer.js";

const wordIndex = (field: string): number => 2 * slotOf(vmcsEncoding(field));
const indices = {
  pin: wordIndex("PIN_BASED_VM_EXECUTION_CONTROLS"),
  primary: wordIndex("PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS"),
  secondary: wordIndex("SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS"),
  exit: wordIndex("VM_EXIT_CONTROLS"),
  entry: wordIndex("VM_ENTRY_CONTROLS"),
} as const;

const secondaryActive = 0x8000_0000;
const regionBytes = 0x1000;

export class Vmcs12 {
  /** Its fields, two words of 32 bits a slot. */
  readonly image: Uint32Array;
  private readonly view: DataView;

  constructor(
    processor: Processor,
    /** Physical address of the region, within the guest's memory. */
    readonly address: bigint,
  ) {
    // Written as a whole once, so that it may be written without going through the door.
    processor.writePhysical(address, processor.readPhysical(address, regionBytes));
    this.view = processor.window(address, regionBytes);
    this.image = new Uint32Array(this.view.buffer, this.view.byteOffset + slotsOffsetBytes, imageWords);
  }

  /** A field by its encoding for full access. */
  read(encoding: number): bigint {
    return this.view.getBigUint64(slotsOffsetBytes + 8 * slotOf(encoding), true);
  }

  /** A field of up to 32 bits, or the low half of a wider one. */
  read32(encoding: number): number {
    return this.image[2 * slotOf(encoding)] ?? 0;
  }

  /** Cut to the field's width; `encoding` may be that of the high half of a 64-bit field. */
  write(encoding: number, value: bigint): void {
    const at = slotsOffsetBytes + 8 * slotOf(encoding);
    if ((encoding & 1) !== 0) this.view.setUint32(at + 4, Number(value & 0xffff_ffffn), true);
    else this.view.setBigUint64(at, cut(encoding, value), true);
  }

  /** A field of up to 32 bits. */
  write32(encoding: number, value: number): void {
    this.image[2 * slotOf(encoding)] = value;
  }

  /** A control word; the secondary one counts only while it is activated. */
  word(name: VmcsControlWord): number {
    const value = this.image[indices[name]] ?? 0;
    const counts = name !== "secondary" || ((this.image[indices.primary] ?? 0) & secondaryActive) !== 0;
    return counts ? value : 0;
  }

  control(name: VmxControlName): boolean {
    const { word, mask } = placeOf(name);
    return (this.word(word) & mask) !== 0;
  }

  /** It is a shadow VMCS, by bit 31 of its header. */
  get isShadow(): boolean {
    return this.view.getUint32(0, true) >>> 31 === 1;
  }

  get launched(): boolean {
    return this.view.getUint32(launchStateOffsetBytes, true) === 1;
  }

  set launched(value: boolean) {
    this.view.setUint32(launchStateOffsetBytes, value ? 1 : 0, true);
  }
}

function cut(encoding: number, value: bigint): bigint {
  const width = widthOfEncoding(encoding);
  return width === 16 ? value & 0xffffn : width === 32 ? value & 0xffff_ffffn : value;
}
