// The intercept bits of the VMCB: AMD APM vol. 2, appendix "Layout of VMCB", control area.

/** One intercept bit: the 32-bit vector at `offset` in the VMCB, and the bit in it. */
export interface SvmIntercept {
  readonly name: string;
  readonly offset: number;
  readonly bit: number;
}

function vector(offset: number, names: readonly (string | undefined)[]): SvmIntercept[] {
  const list: SvmIntercept[] = [];
  names.forEach((name, bit) => {
    if (name !== undefined) list.push({ name, offset, bit });
  });
  return list;
}

const numbered = (prefix: string, suffix: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}${suffix}`);

/** Every intercept bit, in order of position. */
export const svmIntercepts: readonly SvmIntercept[] = [
  ...vector(0x000, [...numbered("CR", "_READ", 16), ...numbered("CR", "_WRITE", 16)]),
  ...vector(0x004, [...numbered("DR", "_READ", 16), ...numbered("DR", "_WRITE", 16)]),
  ...vector(0x008, numbered("EXCP", "", 32)),
  ...vector(0x00c, [
    "INTR", "NMI", "SMI", "INIT", "VINTR", "CR0_SEL_WRITE", "IDTR_READ", "GDTR_READ", "LDTR_READ", "TR_READ",
    "IDTR_WRITE", "GDTR_WRITE", "LDTR_WRITE", "TR_WRITE", "RDTSC", "RDPMC", "PUSHF", "POPF", "CPUID", "RSM", "IRET",
    "SWINT", "INVD", "PAUSE", "HLT", "INVLPG", "INVLPGA", "IOIO_PROT", "MSR_PROT", "TASK_SWITCH", "FERR_FREEZE",
    "SHUTDOWN",
  ]), // prettier-ignore
  ...vector(0x010, [
    "VMRUN", "VMMCALL", "VMLOAD", "VMSAVE", "STGI", "CLGI", "SKINIT", "RDTSCP", "ICEBP", "WBINVD", "MONITOR", "MWAIT",
    "MWAIT_CONDITIONAL", "XSETBV", "RDPRU", "EFER_WRITE_TRAP", ...numbered("CR", "_WRITE_TRAP", 16),
  ]), // prettier-ignore
  ...vector(0x014, ["INVLPGB", "INVLPGB_ILLEGAL", "INVPCID", "MCOMMIT", "TLBSYNC", "BUSLOCK", "IDLE_HLT"]),
];

const byName = new Map(svmIntercepts.map((i) => [i.name, i]));

/** The intercept bit of that name, or undefined. */
export function findSvmIntercept(name: string): SvmIntercept | undefined {
  return byName.get(name);
}
