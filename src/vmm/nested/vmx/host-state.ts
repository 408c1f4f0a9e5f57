// "Loading Host State": after an exit of its guest the guest's VMM goes on as its VMCS (12) says. It is itself a guest,
// so that its state is written into the VMCS that this VMM runs it on (01). Intel SDM vol. 3C, "VM Exits".

import { cr0Bits, cr4Bits, eferBits, fieldList, imageWords, slotOf, vmcsEncoding } from "../../../isa/index.js";
import { field, segmentField } from "../../hardware/vmx/vmcs-fields.js";
import type { VmxGuest } from "../../hardware/vmx/vmx-guest.js";
import type { Processor } from "../../virtualization.js";
import type { Vmcs12 } from "./vmcs12.js";

const patMsr = 0x277;
const rights = { code64: 0xa09b, code32: 0xc09b, data: 0xc093, tss: 0x8b, unusable: 0x1_0000 } as const;
const flatLimit = 0xffff_ffff;
const tableLimit = 0xffff;
const tssLimit = 0x67;
const keptCr0 = cr0Bits.ET | cr0Bits.NW | cr0Bits.CD;
const blockedByNmi = 8;

/** What of the inner guest survives an exit to its VMM. */
export interface Left {
  readonly cr0: bigint;
  readonly efer: bigint;
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
const moves = taken.map(([from, to]) => [index(from), index(to)] as const);
const dataRights = dataSegments.map(
  (name) => [index(host(`${name}_SELECTOR`)), index(segmentField[name].rights)] as const,
);
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
    for (const [from, to] of moves) {
      image[to] = vmcs12.image[from] ?? 0;
      image[to + 1] = vmcs12.image[from + 1] ?? 0;
    }
    image[codeRights] = wide ? rights.code64 : rights.code32;
    for (const [selector, to] of dataRights) image[to] = vmcs12.image[selector] === 0 ? rights.unusable : rights.data;
    image[interruptibility] = left.nmi ? blockedByNmi : 0;
    guest.vmx.writeFields(written, image);
  }

  private loadControlRegisters(vmcs12: Vmcs12, left: Left, wide: boolean): void {
    const { guest } = this;
    const mode = eferBits.LMA | eferBits.LME;
    const loads = vmcs12.control("EXIT_LOAD_IA32_EFER");
    const cr4 = vmcs12.read(hostField.cr4);
    const values = {
      EFER: loads ? vmcs12.read(hostField.efer) : (left.efer & ~mode) | (wide ? mode : 0n),
      CR0: (left.cr0 & keptCr0) | (vmcs12.read(hostField.cr0) & ~keptCr0),
      CR4: wide ? cr4 | cr4Bits.PAE : cr4 & ~cr4Bits.PCIDE,
      CR3: vmcs12.read(hostField.cr3),
    };
    // Under PAE paging they bring the page-directory-pointer entries with them.
    for (const name of ["EFER", "CR0", "CR4", "CR3"] as const) {
      if (!wide || guest.register(name) !== values[name]) guest.setRegister(name, values[name]);
    }
  }
}
