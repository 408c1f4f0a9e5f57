// "Loading Host State": after an exit of its guest the guest's VMM goes on as its VMCS (12) says. It is itself a guest,
// so that its state is written into the VMCS that this VMM runs it on (01). Intel SDM vol. 3C, "VM Exits".

import { cr0Bits, cr4Bits, eferBits, fieldList, imageWords, slotOf, vmcsEncoding } from "../../../isa/index.js";
import { believed32, cr0Fields, cr4Fields } from "../../hardware/vmx/guest-registers.js";
import { field, segmentField } from "../../hardware/vmx/vmcs-fields.js";
import type { VmxGuest } from "../../hardware/vmx/vmx-guest.js";
import type { Processor } from "../../virtualization.js";
import type { Vmcs12 } from "./vmcs12.js";

const patMsr = 0x277;
const rights = { code64: 0xa09b, code32: 0xc09b, data: 0xc093, tss: 0x8b, unusable: 0x1_0000 } as const;
const flatLimit = 0xffff_ffff;
const tableLimit = 0xffff;
const tssLimit = 0x67;
const keptCr0 = Number(cr0Bits.ET | cr0Bits.NW | cr0Bits.CD);
const longMode = Number(eferBits.LMA | eferBits.LME);
const pae = Number(cr4Bits.PAE);
const pcide = Number(cr4Bits.PCIDE);
const blockedByNmi = 8;

/** What of the inner guest survives an exit to its VMM. No bit of these registers is above bit 31. */
export interface Left {
  readonly cr0: number;
  readonly efer: number;
  readonly nmi: boolean;
}

const host = (name: string): number => vmcsEncoding(`HOST_${name}`);
const hostField = {
  cr0: host("CR0"),
  cr3: host("CR3"),
  cr4: host("CR4"),
  efer: host("IA32_EFER"),
  pat: host("IA32_PAT"),
} as const;

const dataSegments = ["SS", "DS", "ES", "FS", "GS"] as const;
const segments = ["CS", ...dataSegments, "TR"] as const;

/** Fields of 12's host state and the guest state that they become. */
const taken: readonly (readonly [from: number, to: number])[] = [
  ...segments.map((name) => [host(`${name}_SELECTOR`), segmentField[name].selector] as const),
  ...(["FS", "GS", "TR"] as const).map((name) => [host(`${name}_BASE`), segmentField[name].base] as const),
  [host("GDTR_BASE"), vmcsEncoding("GUEST_GDTR_BASE")],
  [host("IDTR_BASE"), vmcsEncoding("GUEST_IDTR_BASE")],
  [host("IA32_SYSENTER_CS"), field.sysenterCs],
  [host("IA32_SYSENTER_ESP"), field.sysenterEsp],
  [host("IA32_SYSENTER_EIP"), field.sysenterEip],
  [host("RIP"), field.rip],
  [host("RSP"), field.rsp],
];

/** Guest state that is the same after every exit. Bases and the LDTR are 0 where nothing is said. */
const constant: readonly (readonly [field: number, value: number])[] = [
  ...[...segments.slice(0, -1)].map((name) => [segmentField[name].limit, flatLimit] as const),
  [segmentField.TR.limit, tssLimit],
  [segmentField.TR.rights, rights.tss],
  [segmentField.LDTR.rights, rights.unusable],
  [vmcsEncoding("GUEST_GDTR_LIMIT"), tableLimit],
  [vmcsEncoding("GUEST_IDTR_LIMIT"), tableLimit],
  [field.rflags, 2],
  [field.dr7, 0x400],
];

const zero: readonly number[] = [
  ...(["CS", "SS", "DS", "ES", "LDTR"] as const).map((name) => segmentField[name].base),
  segmentField.LDTR.selector,
  segmentField.LDTR.limit,
  field.debugctl,
  field.activity,
  field.pendingDebug,
];

/** Everything that an exit writes but for the control registers. */
const written = fieldList([
  ...taken.map(([, to]) => to),
  ...constant.map(([to]) => to),
  ...zero,
  ...segments.slice(0, -1).map((name) => segmentField[name].rights),
  field.interruptibility,
]);

const index = (encoding: number): number => 2 * slotOf(encoding);
const movedFrom = taken.map(([from]) => index(from));
const movedTo = taken.map(([, to]) => index(to));
const dataSelectors = dataSegments.map((name) => index(host(`${name}_SELECTOR`)));
const dataRights = dataSegments.map((name) => index(segmentField[name].rights));
const codeRights = index(segmentField.CS.rights);
const interruptibility = index(field.interruptibility);

export class HostStateLoader {
  private readonly image = new Uint32Array(imageWords);

  constructor(
    private readonly guest: VmxGuest,
    private readonly processor: Processor,
  ) {
    for (const [encoding, value] of constant) this.image[index(encoding)] = value;
  }

  /** The guest's VMM goes on. The current VMCS is 01. */
  load(vmcs12: Vmcs12, left: Left): void {
    const { guest, image } = this;
    const wide = vmcs12.control("HOST_ADDRESS_SPACE_SIZE");
    this.loadControlRegisters(vmcs12, left, wide);
    if (vmcs12.control("EXIT_LOAD_IA32_PAT")) this.processor.writeMsr(patMsr, vmcs12.read(hostField.pat));
    const from = vmcs12.image;
    for (let i = 0; i < movedTo.length; i++) {
      const at = movedFrom[i] ?? 0;
      const to = movedTo[i] ?? 0;
      image[to] = from[at] ?? 0;
      image[to + 1] = from[at + 1] ?? 0;
    }
    image[codeRights] = wide ? rights.code64 : rights.code32;
    for (let i = 0; i < dataRights.length; i++) {
      image[dataRights[i] ?? 0] = from[dataSelectors[i] ?? 0] === 0 ? rights.unusable : rights.data;
    }
    image[interruptibility] = left.nmi ? blockedByNmi : 0;
    guest.vmx.writeFields(written, image);
  }

  private loadControlRegisters(vmcs12: Vmcs12, left: Left, wide: boolean): void {
    const { guest } = this;
    const { vmx } = guest;
    const loads = vmcs12.control("EXIT_LOAD_IA32_EFER");
    const efer = loads ? vmcs12.read32(hostField.efer) : (left.efer & ~longMode) | (wide ? longMode : 0);
    const cr0 = (left.cr0 & keptCr0) | (vmcs12.read32(hostField.cr0) & ~keptCr0);
    const cr4 = wide ? vmcs12.read32(hostField.cr4) | pae : vmcs12.read32(hostField.cr4) & ~pcide;
    const cr3 = vmcs12.read(hostField.cr3);
    // Most exits find them as they were. Under PAE paging they bring the page-directory-pointer entries with them.
    if (!wide || differ(efer, vmx.read32(field.efer))) guest.setRegister("EFER", unsigned(efer));
    if (!wide || differ(cr0, believed32(vmx, cr0Fields))) guest.setRegister("CR0", unsigned(cr0));
    if (!wide || differ(cr4, believed32(vmx, cr4Fields))) guest.setRegister("CR4", unsigned(cr4));
    if (!wide || cr3 !== vmx.read(field.cr3)) guest.setRegister("CR3", cr3);
  }
}

const differ = (one: number, other: number): boolean => (one ^ other) >>> 0 !== 0;

const unsigned = (word: number): bigint => BigInt(word >>> 0);
