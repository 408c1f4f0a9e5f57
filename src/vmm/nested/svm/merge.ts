// Between the VMCB of a guest's VMM (12), the one that the processor runs the inner guest with (02), and the guest's
// own (01). AMD APM vol. 2, "VMRUN Instruction" and "#VMEXIT"; the fields are those of the appendix "Layout of VMCB".

import { cr0Bits, findVmcbField, vmcbOffset } from "../../../isa/index.js";
import { assert } from "../../../base/index.js";
import type { Vmcb } from "../../hardware/svm/vmcb.js";
import type { Processor } from "../../virtualization.js";
import type { MergedBitmap } from "../merged-bitmap.js";

/** A run of bytes of a VMCB. */
interface Run {
  readonly at: number;
  readonly bytes: number;
}

/** The bytes from one field to another, both included. */
function run(first: string, last = first): Run {
  const field = findVmcbField(last);
  assert(field, `${last} is a field of the VMCB`);
  const at = vmcbOffset(first);
  return { at, bytes: field.offsetBytes + field.sizeBits / 8 - at };
}

/** What VMRUN loads and #VMEXIT saves. */
const guestState = [
  run("ES_SELECTOR", "DS_BASE"),
  run("GDTR_SELECTOR", "GDTR_BASE"),
  run("IDTR_SELECTOR", "IDTR_BASE"),
  run("CPL"),
  run("EFER"),
  run("CR4", "RIP"),
  run("RSP"),
  run("RAX"),
  run("CR2"),
];
/** What VMLOAD loads and VMSAVE saves. */
const furtherState = [
  run("FS_SELECTOR", "GS_BASE"),
  run("LDTR_SELECTOR", "LDTR_BASE"),
  run("TR_SELECTOR", "TR_BASE"),
  run("STAR", "SYSENTER_EIP"),
];
/** What belongs to LBR virtualization. */
const branches = run("DBGCTL", "LASTEXCPTO");
/** What an exit tells; behind GUEST_INST_LENGTH stand the bytes that decode assists fetched. */
const exitInformation = [
  run("EXITCODE", "EXITINTINFO"),
  run("NRIP"),
  { at: vmcbOffset("GUEST_INST_LENGTH"), bytes: 16 },
];
/** Parameters of the inner guest that need no merging. */
const ownParameters = [
  run("PAUSE_FILTER_THRESHOLD", "PAUSE_FILTER_COUNT"),
  run("TSC_OFFSET"),
  run("INTERRUPT_SHADOW"),
  run("EVENTINJ"),
  run("NRIP"),
  // What an exit does not write stays as it was.
  { at: vmcbOffset("GUEST_INST_LENGTH"), bytes: 16 },
];

/** From 12 to 02 at an entry, and back at an exit. */
const enteredRuns = [...guestState, ...ownParameters];
const exitedRuns = [...guestState, ...exitInformation];

const at = {
  misc2: vmcbOffset("INTERCEPT_MISC2"),
  misc1: vmcbOffset("INTERCEPT_MISC1"),
  iopm: vmcbOffset("IOPM_BASE_PA"),
  msrpm: vmcbOffset("MSRPM_BASE_PA"),
  nested: vmcbOffset("NESTED_CTL"),
  nestedCr3: vmcbOffset("N_CR3"),
  virtual: vmcbOffset("VIRT_EXT"),
  asid: vmcbOffset("GUEST_ASID"),
  tlbControl: vmcbOffset("TLB_CONTROL"),
  pat: vmcbOffset("G_PAT"),
  clean: vmcbOffset("VMCB_CLEAN"),
} as const;

const interceptWords = 6;
/** Intercepts of IN and OUT, and of RDMSR and WRMSR, in INTERCEPT_MISC1. */
const protectedIo = 1 << 27;
const protectedMsrs = 1 << 28;
/** Intercepts of VMLOAD and VMSAVE in INTERCEPT_MISC2. */
const loadAndSave = (1 << 2) | (1 << 3);
const virtualBranches = 1n;
const virtualLoadAndSave = 2n;
const nestedPaging = 1n;
const injectionValid = 1n << 31n;
/** Intercepts of STGI and CLGI in INTERCEPT_MISC2. */
const globalFlag = (1 << 4) | (1 << 5);
const virtualGifEnable = 1n << 25n;
const addressMask = ~0xfffn;

/** Whether the VMM of the guest gives its guest nested paging. */
export function usesNestedPaging(vmcb12: Vmcb): boolean {
  return (vmcb12.readU64(at.nested) & nestedPaging) !== 0n;
}

/** Whether a VMCB intercepts the exit of a code: the codes up to BFH are the numbers of the intercept bits. */
export function intercepts(vmcb: Vmcb, code: bigint): boolean {
  if (code >= BigInt(32 * interceptWords)) return false;
  const position = Number(code);
  return ((vmcb.readU32((position >> 5) * 4) >>> (position & 31)) & 1) === 1;
}

/** Whether the permission maps of a VMCB ask for the exit of this access. */
export function interceptsPort(memory: Processor, vmcb: Vmcb, port: number, bytes: number): boolean {
  if ((vmcb.readU32(at.misc1) & protectedIo) === 0) return false;
  const map = vmcb.readU64(at.iopm) & addressMask;
  for (let each = port; each < port + bytes; each++) {
    const byte = memory.readPhysical(map + BigInt(each >> 3), 1)[0] ?? 0xff;
    if (((byte >> (each & 7)) & 1) === 1) return true;
  }
  return false;
}

/** The same for an MSR. */
export function interceptsMsr(memory: Processor, vmcb: Vmcb, address: number, write: boolean): boolean {
  if ((vmcb.readU32(at.misc1) & protectedMsrs) === 0) return false;
  const range = [0, 0xc000_0000, 0xc001_0000].indexOf(address - (address & 0x1fff));
  if (range < 0) return true;
  const bit = (address & 0x1fff) * 2 + (write ? 1 : 0);
  const map = (vmcb.readU64(at.msrpm) & addressMask) + BigInt(range * 0x800 + (bit >> 3));
  return (((memory.readPhysical(map, 1)[0] ?? 0xff) >> (bit & 7)) & 1) === 1;
}

/** The merged permission maps. */
export interface MergedMaps {
  readonly io: MergedBitmap;
  readonly msrs: MergedBitmap;
}

/** What exits: all that either VMM asks for. `own` is 01; `offered` are the bits of VINTR that 12 may use. */
export function mergeIntercepts(
  { own, vmcb12, vmcb02 }: { readonly own: Vmcb; readonly vmcb12: Vmcb; readonly vmcb02: Vmcb },
  maps: MergedMaps,
  offered: bigint,
): void {
  for (let word = 0; word < interceptWords; word++) {
    vmcb02.writeU32(word * 4, own.readU32(word * 4) | vmcb12.readU32(word * 4));
  }
  // Virtualized VMLOAD and VMSAVE go through the merged nested tables; without, their addresses would be this VMM's
  // (CVE-2021-3656).
  const misc2 = vmcb02.readU32(at.misc2);
  const theirs = vmcb12.readU32(at.misc2);
  const loads = virtualizesLoads(vmcb12) ? theirs & loadAndSave : loadAndSave;
  const isVirtualGif = (vmcb12.get("vintr") & offered & virtualGifEnable) !== 0n;
  const flag = (isVirtualGif ? theirs : misc2) & globalFlag;
  vmcb02.writeU32(at.misc2, (misc2 & ~(loadAndSave | globalFlag)) | loads | flag);
  const protects = vmcb12.readU32(at.misc1);
  vmcb02.writeU64(at.iopm, mapOf(own, vmcb12, at.iopm, (protects & protectedIo) !== 0 ? maps.io : undefined));
  vmcb02.writeU64(at.msrpm, mapOf(own, vmcb12, at.msrpm, (protects & protectedMsrs) !== 0 ? maps.msrs : undefined));
}

/** The permission map of 02: merged where the guest's VMM uses one. */
function mapOf(own: Vmcb, vmcb12: Vmcb, field: number, merged: MergedBitmap | undefined): bigint {
  merged?.merge(vmcb12.readU64(field) & addressMask);
  return merged?.address ?? own.readU64(field);
}

/** "Virtualized VMLOAD and VMSAVE" work on nested paging only. */
export function virtualizesLoads(vmcb12: Vmcb): boolean {
  return (vmcb12.readU64(at.virtual) & virtualLoadAndSave) !== 0n && usesNestedPaging(vmcb12);
}

/** "LBR Virtualization": whether the inner guest has branch records of its own. */
function hasOwnBranches(vmcb12: Vmcb): boolean {
  return (vmcb12.readU64(at.virtual) & virtualBranches) !== 0n;
}

/** What the inner guest runs with besides what both VMMs decide. */
export interface InnerSetting {
  /** Nested tables of 02. */
  readonly root: bigint;
  readonly asid: number;
  readonly tlbControl: number;
  readonly vintr: bigint;
  /** The processor has virtualized VMLOAD and VMSAVE, and LBR virtualization. */
  readonly virtualLoads: boolean;
  readonly branches: boolean;
}

/** Writes the inner guest's state and parameters into 02. */
export function writeInner(own: Vmcb, vmcb12: Vmcb, vmcb02: Vmcb, setting: InnerSetting): void {
  for (const part of enteredRuns) vmcb02.copy(vmcb12, part.at, part.bytes);
  for (const part of furtherState) vmcb02.copy(own, part.at, part.bytes);
  vmcb02.copy(usesNestedPaging(vmcb12) ? vmcb12 : own, at.pat, 8);
  vmcb02.set("vintr", setting.vintr);
  vmcb02.writeU64(at.nested, nestedPaging);
  vmcb02.writeU64(at.nestedCr3, setting.root);
  vmcb02.copy(hasOwnBranches(vmcb12) ? vmcb12 : own, branches.at, branches.bytes);
  const loads = setting.virtualLoads && virtualizesLoads(vmcb12) ? virtualLoadAndSave : 0n;
  vmcb02.writeU64(at.virtual, loads | (setting.branches ? virtualBranches : 0n));
  vmcb02.writeU32(at.asid, setting.asid);
  vmcb02.writeU32(at.tlbControl, setting.tlbControl);
  vmcb02.writeU32(at.clean, 0);
}

/** What VMRUN of 12 asks to be done with translations. */
export function tlbControl(vmcb12: Vmcb): number {
  return vmcb12.readU32(at.tlbControl) & 0xff;
}

/** Saves the inner guest's state and what the exit tells from 02, as #VMEXIT does. */
export function saveInner(own: Vmcb, vmcb12: Vmcb, vmcb02: Vmcb, virtualGif: boolean): void {
  for (const part of exitedRuns) vmcb12.copy(vmcb02, part.at, part.bytes);
  for (const part of furtherState) own.copy(vmcb02, part.at, part.bytes);
  const nested = usesNestedPaging(vmcb12);
  (nested ? vmcb12 : own).copy(vmcb02, at.pat, 8);
  (hasOwnBranches(vmcb12) ? vmcb12 : own).copy(vmcb02, branches.at, branches.bytes);
  vmcb12.set("interruptShadow", vmcb02.get("interruptShadow"));
  const written = 0xffn | (1n << 8n) | (virtualGif ? 1n << 9n : 0n);
  vmcb12.set("vintr", (vmcb12.get("vintr") & ~written) | (vmcb02.get("vintr") & written));
  vmcb12.set("eventinj", vmcb12.get("eventinj") & ~injectionValid);
}

/** "#VMEXIT": what of the state of the guest's VMM is not as VMRUN left it. */
export function loadHostState(own: Vmcb): void {
  own.set("cr0", own.get("cr0") | cr0Bits.PE);
  own.set("dr7", 0x400n);
  own.set("rflags", own.get("rflags") & ~(1n << 17n));
  own.set("interruptShadow", 0n);
  own.put("CPL", 0n);
}

/** VMLOAD and VMSAVE: the state that VMRUN leaves alone goes from one VMCB to another. */
export function copyFurtherState(to: Vmcb, from: Vmcb): void {
  for (const part of furtherState) to.copy(from, part.at, part.bytes);
}

/** Virtualized VMLOAD and VMSAVE for the guest's VMM itself: they do not exit then. */
export function virtualizeLoads(own: Vmcb, isOn: boolean): void {
  const misc2 = own.readU32(at.misc2);
  own.writeU32(at.misc2, isOn ? misc2 & ~loadAndSave : misc2 | loadAndSave);
  const virtual = own.readU64(at.virtual);
  own.writeU64(at.virtual, isOn ? virtual | virtualLoadAndSave : virtual & ~virtualLoadAndSave);
}
