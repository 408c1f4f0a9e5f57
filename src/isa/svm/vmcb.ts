// The layout of the VMCB: AMD APM vol. 2, appendix "Layout of VMCB". Control area from 0, state-save area from 0x400.

/** One field of the VMCB. */
export interface VmcbField {
  readonly name: string;
  readonly offsetBytes: number;
  readonly sizeBits: 8 | 16 | 32 | 64;
  readonly area: "control" | "state";
}

const control = (offsetBytes: number, sizeBits: VmcbField["sizeBits"], name: string): VmcbField => ({
  name,
  offsetBytes,
  sizeBits,
  area: "control",
});

const state = (offset: number, sizeBits: VmcbField["sizeBits"], name: string): VmcbField => ({
  name,
  offsetBytes: 0x400 + offset,
  sizeBits,
  area: "state",
});

/** Selector, attributes, limit and base of a segment register. Attributes are bits 47:40 and 55:52 of a descriptor. */
function segment(offset: number, name: string): VmcbField[] {
  return [
    state(offset, 16, `${name}_SELECTOR`),
    state(offset + 2, 16, `${name}_ATTRIB`),
    state(offset + 4, 32, `${name}_LIMIT`),
    state(offset + 8, 64, `${name}_BASE`),
  ];
}

/** Every field, in order of offset. */
export const vmcbFields: readonly VmcbField[] = [
  control(0x000, 16, "INTERCEPT_CR_READ"),
  control(0x002, 16, "INTERCEPT_CR_WRITE"),
  control(0x004, 16, "INTERCEPT_DR_READ"),
  control(0x006, 16, "INTERCEPT_DR_WRITE"),
  control(0x008, 32, "INTERCEPT_EXCEPTIONS"),
  control(0x00c, 32, "INTERCEPT_MISC1"),
  control(0x010, 32, "INTERCEPT_MISC2"),
  control(0x014, 32, "INTERCEPT_MISC3"),
  control(0x03c, 16, "PAUSE_FILTER_THRESHOLD"),
  control(0x03e, 16, "PAUSE_FILTER_COUNT"),
  control(0x040, 64, "IOPM_BASE_PA"),
  control(0x048, 64, "MSRPM_BASE_PA"),
  control(0x050, 64, "TSC_OFFSET"),
  control(0x058, 32, "GUEST_ASID"),
  control(0x05c, 8, "TLB_CONTROL"),
  control(0x060, 64, "VINTR"),
  control(0x068, 64, "INTERRUPT_SHADOW"),
  control(0x070, 64, "EXITCODE"),
  control(0x078, 64, "EXITINFO1"),
  control(0x080, 64, "EXITINFO2"),
  control(0x088, 64, "EXITINTINFO"),
  control(0x090, 64, "NESTED_CTL"),
  control(0x098, 64, "AVIC_APIC_BAR"),
  control(0x0a8, 64, "EVENTINJ"),
  control(0x0b0, 64, "N_CR3"),
  control(0x0b8, 64, "VIRT_EXT"),
  control(0x0c0, 32, "VMCB_CLEAN"),
  control(0x0c8, 64, "NRIP"),
  control(0x0d0, 8, "GUEST_INST_LENGTH"),
  control(0x0e0, 64, "AVIC_BACKING_PAGE"),
  control(0x0f0, 64, "AVIC_LOGICAL_TABLE"),
  control(0x0f8, 64, "AVIC_PHYSICAL_TABLE"),
  ...segment(0x000, "ES"),
  ...segment(0x010, "CS"),
  ...segment(0x020, "SS"),
  ...segment(0x030, "DS"),
  ...segment(0x040, "FS"),
  ...segment(0x050, "GS"),
  ...segment(0x060, "GDTR"),
  ...segment(0x070, "LDTR"),
  ...segment(0x080, "IDTR"),
  ...segment(0x090, "TR"),
  state(0x0cb, 8, "CPL"),
  state(0x0d0, 64, "EFER"),
  state(0x148, 64, "CR4"),
  state(0x150, 64, "CR3"),
  state(0x158, 64, "CR0"),
  state(0x160, 64, "DR7"),
  state(0x168, 64, "DR6"),
  state(0x170, 64, "RFLAGS"),
  state(0x178, 64, "RIP"),
  state(0x1d8, 64, "RSP"),
  state(0x1f8, 64, "RAX"),
  state(0x200, 64, "STAR"),
  state(0x208, 64, "LSTAR"),
  state(0x210, 64, "CSTAR"),
  state(0x218, 64, "SFMASK"),
  state(0x220, 64, "KERNEL_GS_BASE"),
  state(0x228, 64, "SYSENTER_CS"),
  state(0x230, 64, "SYSENTER_ESP"),
  state(0x238, 64, "SYSENTER_EIP"),
  state(0x240, 64, "CR2"),
  state(0x268, 64, "G_PAT"),
  state(0x270, 64, "DBGCTL"),
  state(0x278, 64, "BR_FROM"),
  state(0x280, 64, "BR_TO"),
  state(0x288, 64, "LASTEXCPFROM"),
  state(0x290, 64, "LASTEXCPTO"),
];

const byName = new Map(vmcbFields.map((f) => [f.name, f]));

/** The field of that name, or undefined. */
export function findVmcbField(name: string): VmcbField | undefined {
  return byName.get(name);
}

/** Offset of a field that is known to exist in the table; throws on a name that does not. */
export function vmcbOffset(name: string): number {
  const found = byName.get(name);
  if (!found) throw new Error(`internal error: no VMCB field ${name}`);
  return found.offsetBytes;
}
