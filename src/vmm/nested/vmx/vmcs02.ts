// The VMCS that the processor runs a guest's guest with (02): made of the one of the guest's VMM (12) and of what this
// VMM needs (01). Intel SDM vol. 3C, "VM-Execution Control Fields"; "VM Entries", "Loading Guest State"; "VM Exits",
// "Saving Guest State".

import {
  cr0Bits,
  cr4Bits,
  eferBits,
  imageWords,
  slotOf,
  vmcsEncoding,
  type VmxControlName,
} from "../../../isa/index.js";
import type { PageAllocator } from "../../page-allocator.js";
import { placeOf, type ControlValues } from "../../hardware/vmx/controls.js";
import { field } from "../../hardware/vmx/vmcs-fields.js";
import type { VmxSetup } from "../../hardware/vmx/setup.js";
import type { Processor, VmxOperations } from "../../virtualization.js";
import { backingFrame } from "../../hardware/identity-tables.js";
import { movedFields, pageFields, type MovedFields } from "./fields.js";
import { MergedBitmap } from "../merged-bitmap.js";
import { interceptionFields, type Interceptions } from "./ownership.js";
import type { Vmcs12 } from "./vmcs12.js";

const bits = (...names: readonly VmxControlName[]): number =>
  names.reduce((all, name) => (all | placeOf(name).mask) >>> 0, 0);

/** Controls of the guest's VMM that this VMM carries out itself, on the merged tables. */
const carriedOut = bits("ENABLE_PML", "EPT_VIOLATION_VE");

/** Of this VMM's own controls, those that say nothing about the inner guest. */
const notInherited = {
  primary: bits(
    "CR3_LOAD_EXITING",
    "CR3_STORE_EXITING",
    "CR8_LOAD_EXITING",
    "CR8_STORE_EXITING",
    "MONITOR_TRAP_FLAG",
    "INTERRUPT_WINDOW_EXITING",
    "NMI_WINDOW_EXITING",
    "USE_TPR_SHADOW",
  ),
  secondary: bits("UNRESTRICTED_GUEST", "ENABLE_RDTSCP", "ENABLE_INVPCID", "ENABLE_XSAVES_XRSTORS", "VMCS_SHADOWING"),
} as const;

const mask = {
  externalInterrupts: bits("EXTERNAL_INTERRUPT_EXITING"),
  acknowledge: bits("ACKNOWLEDGE_INTERRUPT_ON_EXIT"),
  timer: bits("ACTIVATE_VMX_PREEMPTION_TIMER"),
  saveTimer: bits("SAVE_VMX_PREEMPTION_TIMER_VALUE"),
  longMode: bits("IA32E_MODE_GUEST"),
  ept: bits("ENABLE_EPT"),
  shadowing: bits("VMCS_SHADOWING"),
  x2apic: bits("VIRTUALIZE_X2APIC_MODE"),
  apicRegisters: bits("APIC_REGISTER_VIRTUALIZATION"),
  virtualInterrupts: bits("VIRTUAL_INTERRUPT_DELIVERY"),
  ioBitmaps: bits("USE_IO_BITMAPS"),
  everyPort: bits("UNCONDITIONAL_IO_EXITING"),
  msrBitmaps: bits("USE_MSR_BITMAPS"),
  loadDebug: bits("ENTRY_LOAD_DEBUG_CONTROLS"),
  loadPat: bits("ENTRY_LOAD_IA32_PAT"),
  loadEfer: bits("ENTRY_LOAD_IA32_EFER"),
  saveDebug: bits("EXIT_SAVE_DEBUG_CONTROLS"),
  savePat: bits("EXIT_SAVE_IA32_PAT"),
  saveEfer: bits("EXIT_SAVE_IA32_EFER"),
  /** What entries load of the inner guest and exits save of it only where its VMM asks for it. */
  entryLoads: bits(
    "IA32E_MODE_GUEST",
    "ENTRY_LOAD_IA32_PAT",
    "ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL",
    "ENTRY_LOAD_IA32_BNDCFGS",
    "ENTRY_CONCEAL_VMX_FROM_PT",
  ),
  exitSaves: bits("EXIT_SAVE_IA32_PAT"),
} as const;

const index = (encoding: number): number => 2 * slotOf(encoding);
const at = {
  exitControls: vmcsEncoding("VM_EXIT_CONTROLS"),
  eptp: vmcsEncoding("EPT_POINTER"),
  vpid: vmcsEncoding("VIRTUAL_PROCESSOR_IDENTIFIER"),
  link: vmcsEncoding("VMCS_LINK_POINTER"),
  pat: vmcsEncoding("GUEST_IA32_PAT"),
} as const;
const noLink = 0xffff_ffff_ffff_ffffn;
const pageFaultBit = 1 << 14;
const entryBytes = 8n;

export interface Vmcs02Parts {
  readonly processor: Processor;
  readonly vmx: VmxOperations;
  readonly setup: VmxSetup;
  readonly pages: PageAllocator;
  /** Region of 02. */
  readonly region: bigint;
  /** What this VMM asked the processor to exit at in its own guest. */
  readonly own: Interceptions;
}

/** Which memory the inner guest has, and by which number its translations are known. */
export interface InnerMemory {
  readonly eptPointer: bigint;
  readonly vpid: number;
}

export class Vmcs02 {
  /** The control words in force while it is current; this VMM may change them between two exits. */
  readonly controls: ControlValues = { pin: 0, primary: 0, secondary: 0, exit: 0, entry: 0 };
  private readonly fields: MovedFields;
  /** Values of the fields that are neither VMM's alone. */
  private readonly image = new Uint32Array(imageWords);
  private readonly values = new DataView(this.image.buffer);
  private readonly io: readonly [a: MergedBitmap, b: MergedBitmap];
  private readonly msrs: MergedBitmap;
  private readonly memoryBytes: number;

  constructor(private readonly parts: Vmcs02Parts) {
    const { processor, pages, own } = parts;
    this.fields = movedFields(processor.platform.cpu);
    const merged = (bitmap: bigint): MergedBitmap => new MergedBitmap(processor, bitmap, BigInt(pages.take()));
    this.io = [merged(own.ioBitmaps[0]), merged(own.ioBitmaps[1])];
    this.msrs = merged(own.msrBitmaps);
    this.memoryBytes = processor.platform.memoryBytes;
  }

  /** Takes what the inner guest has of its VMM from 01, which is current. */
  inherit(): void {
    this.parts.vmx.readFields(this.fields.inherited, this.image);
  }

  /** Makes 02 current and writes everything into it. */
  enter(vmcs12: Vmcs12, memory: InnerMemory): void {
    const { vmx, region } = this.parts;
    vmx.load(region);
    vmx.writeFields(this.fields.entered, vmcs12.image);
    this.mergeControls(vmcs12);
    this.mergeInterceptions(vmcs12);
    this.chooseState(vmcs12);
    this.keepPagesInside(vmcs12);
    if ((vmcs12.word("secondary") & mask.shadowing) !== 0) this.take(vmcs12, at.link);
    else this.put(at.link, noLink);
    this.put(at.eptp, memory.eptPointer);
    this.image[index(at.vpid)] = memory.vpid;
    vmx.writeFields(this.fields.decided, this.image);
  }

  /** Saves the inner guest's state and what the exit tells into 12. */
  save(vmcs12: Vmcs12): void {
    const { vmx } = this.parts;
    const { fields } = this;
    const { image } = vmcs12;
    vmx.readFields(fields.exited, image);
    if ((vmcs12.word("secondary") & mask.ept) !== 0) {
      vmx.readFields(fields.pdptes, image);
      vmx.readFields(fields.guestPhysical, image);
    }
    const exit = vmcs12.word("exit");
    if ((exit & mask.saveDebug) !== 0) vmx.readFields(fields.debug, image);
    if ((exit & mask.saveEfer) !== 0) vmx.readFields(fields.efer, image);
    if ((exit & mask.savePat) !== 0) vmx.readFields(fields.pat, image);
    if ((exit & mask.saveTimer) !== 0) vmx.readFields(fields.timer, image);
    const entry = vmcs12.word("entry") & ~mask.longMode;
    vmcs12.write32(field.entryControls, entry | (vmx.read32(field.entryControls) & mask.longMode));
    vmcs12.write32(field.entryInterruption, vmcs12.read32(field.entryInterruption) & 0x7fff_ffff);
  }

  /** Pages that the processor uses for the inner guest: this VMM's own memory is none of them. */
  private keepPagesInside(vmcs12: Vmcs12): void {
    const { processor, vmx } = this.parts;
    for (const encoding of pageFields) {
      const word = index(encoding);
      const isInside = vmcs12.image[word + 1] === 0 && (vmcs12.image[word] ?? 0) < this.memoryBytes;
      if (isInside) continue;
      const address = vmcs12.read(encoding);
      vmx.write(encoding, backingFrame(processor, address) | (address & 0xfffn));
    }
  }

  /** The execution controls of the inner guest: what either VMM asks for. */
  private mergeControls(vmcs12: Vmcs12): void {
    const { controls, image } = this;
    const own = this.parts.setup.controls;
    const pin = vmcs12.word("pin");
    const exit = vmcs12.word("exit");
    // Who has the exits of interrupts says whether they acknowledge.
    const isOwn = (own.pin & mask.externalInterrupts) !== 0;
    const acknowledge = (isOwn ? own.exit : exit) & mask.acknowledge;
    const saveTimer = (pin & mask.timer) !== 0 ? mask.saveTimer : 0;
    controls.pin = (own.pin | pin) >>> 0;
    // Bitmaps are always in use, so that unconditional I/O exiting is theirs to express.
    controls.primary = ((own.primary & ~notInherited.primary) | vmcs12.word("primary")) >>> 0;
    const secondary = vmcs12.word("secondary");
    controls.secondary = ((own.secondary & ~notInherited.secondary) | (secondary & ~carriedOut)) >>> 0;
    controls.exit = ((own.exit & ~mask.acknowledge) | acknowledge | saveTimer | (exit & mask.exitSaves)) >>> 0;
    controls.entry = ((own.entry & ~mask.entryLoads) | (vmcs12.word("entry") & mask.entryLoads)) >>> 0;
    image[index(field.pinControls)] = controls.pin;
    image[index(field.primaryControls)] = controls.primary;
    image[index(field.secondaryControls)] = controls.secondary;
    image[index(at.exitControls)] = controls.exit;
    image[index(field.entryControls)] = controls.entry;
  }

  /** What the inner guest exits at: all that either VMM asks for. */
  private mergeInterceptions(vmcs12: Vmcs12): void {
    const { image, io, msrs } = this;
    const { own } = this.parts;
    const f = interceptionFields;
    const ownFault = (own.exceptionBitmap & pageFaultBit) !== 0;
    image[index(f.exceptionBitmap)] = (own.exceptionBitmap | vmcs12.read32(f.exceptionBitmap)) >>> 0;
    image[index(f.pageFaultMask)] = ownFault ? 0 : vmcs12.read32(f.pageFaultMask);
    image[index(f.pageFaultMatch)] = ownFault ? 0 : vmcs12.read32(f.pageFaultMatch);
    const primary = vmcs12.word("primary");
    const usesIo = (primary & mask.ioBitmaps) !== 0;
    const everyPort = !usesIo && (primary & mask.everyPort) !== 0;
    for (let i = 0; i < io.length; i++) {
      const merged = io[i] as MergedBitmap;
      const encoding = f.ioBitmaps[i] as number;
      if (usesIo) merged.merge(vmcs12.read(encoding));
      else if (everyPort) merged.fill();
      // Where the guest's VMM asks for no ports, this VMM's own bitmaps say all.
      this.put(encoding, usesIo || everyPort ? merged.address : (own.ioBitmaps[i] as bigint));
    }
    if ((primary & mask.msrBitmaps) !== 0) msrs.merge(vmcs12.read(f.msrBitmaps), virtualizedMsrs(vmcs12));
    else msrs.fill();
    this.put(f.msrBitmaps, msrs.address);
  }

  /** Registers that entries load where a control says so, and otherwise leave as the guest's VMM has them. */
  private chooseState(vmcs12: Vmcs12): void {
    const { image } = this;
    const entry = vmcs12.word("entry");
    if ((entry & mask.loadDebug) !== 0) {
      this.take(vmcs12, field.dr7);
      this.take(vmcs12, field.debugctl);
    }
    if ((entry & mask.loadPat) !== 0) this.take(vmcs12, at.pat);
    const isLong = (entry & mask.longMode) !== 0;
    const paging = (vmcs12.read32(field.cr0) & Number(cr0Bits.PG)) !== 0;
    const efer = index(field.efer);
    if ((entry & mask.loadEfer) !== 0) this.take(vmcs12, field.efer);
    else {
      const { LMA, LME } = eferBits;
      const changed = Number(paging ? LMA | LME : LMA);
      image[efer] = ((image[efer] ?? 0) & ~changed) | (isLong ? changed : 0);
    }
    const pae = paging && !isLong && (vmcs12.read32(field.cr4) & Number(cr4Bits.PAE)) !== 0;
    if (pae) this.loadPdptes(vmcs12);
  }

  /** Without EPT of its VMM the inner guest's entries come from memory; the processor here always uses EPT. */
  private loadPdptes(vmcs12: Vmcs12): void {
    const { processor, vmx } = this.parts;
    const { pdptes } = this.fields;
    if ((vmcs12.word("secondary") & mask.ept) !== 0) return vmx.writeFields(pdptes, vmcs12.image);
    // VM entry has checked that they are valid, so that they lie in memory.
    const table = vmcs12.read(field.cr3) & 0xffff_ffe0n;
    field.pdptes.forEach((encoding, i) => this.put(encoding, processor.readU64(table + BigInt(i) * entryBytes)));
    vmx.writeFields(pdptes, this.image);
  }

  private take(vmcs12: Vmcs12, encoding: number): void {
    const word = index(encoding);
    this.image[word] = vmcs12.image[word] ?? 0;
    this.image[word + 1] = vmcs12.image[word + 1] ?? 0;
  }

  private put(encoding: number, value: bigint): void {
    this.values.setBigUint64(4 * index(encoding), value, true);
  }
}

/** MSRs 800H to 8FFH in the MSR bitmaps, reads in front: those that the processor virtualizes with a set of controls. */
const x2apicBits = [0, 1, 2, 3].map((chosen) => {
  const registers = (chosen & 1) !== 0 ? Array.from({ length: 0x100 }, (_, i) => 0x800 + i) : [0x808];
  const written = (chosen & 2) !== 0 ? [0x808, 0x80b, 0x83f] : [0x808];
  return [...registers, ...written.map((address) => 0x4000 + address)];
});
const noBits: readonly number[] = [];

/** "Virtualizing MSR-Based APIC Accesses": the bits of this VMM's own bitmap that would come first. */
function virtualizedMsrs(vmcs12: Vmcs12): readonly number[] {
  const secondary = vmcs12.word("secondary");
  if ((secondary & mask.x2apic) === 0) return noBits;
  const chosen =
    ((secondary & mask.apicRegisters) !== 0 ? 1 : 0) | ((secondary & mask.virtualInterrupts) !== 0 ? 2 : 0);
  return x2apicBits[chosen] ?? noBits;
}
