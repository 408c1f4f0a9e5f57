// The VMM's own processor state: where it stands between the exits of its guest, and what VM exits load again.
// Intel SDM vol. 3C, "Host-State Area" and "Checks on Host Control Registers, MSRs, and SSP".
//
// The VMM is not made of x86 instructions, so its RIP, stack and tables are addresses that are valid and never used.

import { cr0Bits, cr4Bits, eferBits, vmcsEncoding } from "../../../isa/index.js";
import type { Processor } from "../../virtualization.js";

const flat = { base: 0n, limitBytes: 0xffff_ffff };
const selectors = { code: 0x08, data: 0x10, tss: 0x18 } as const;
const rights = { code64: 0xa09b, code32: 0xc09b, data: 0xc093, tss: 0x008b, unusable: 0 } as const;

/** Puts the processor into the VMM's state, before VMXON. `tables` is a page of zeros for CR3 to name. */
export function enterRootState(processor: Processor, tables: bigint): void {
  const long = processor.platform.cpu.features.includes("LONG_MODE");
  processor.setRegister("CR0", cr0Bits.PE | cr0Bits.ET | cr0Bits.NE | cr0Bits.PG);
  processor.setRegister("CR3", tables);
  processor.setRegister("CR4", cr4Bits.VMXE | (long ? cr4Bits.PAE : 0n));
  processor.setRegister("EFER", long ? eferBits.LME | eferBits.LMA : 0n);
  processor.setRegister("RFLAGS", 2n);
  processor.setRegister("RIP", 0n);
  const code = long ? rights.code64 : rights.code32;
  processor.setSegment("CS", { ...flat, selector: selectors.code, rights: code });
  for (const name of ["SS", "DS", "ES", "FS", "GS"] as const) {
    processor.setSegment(name, { ...flat, selector: selectors.data, rights: rights.data });
  }
  processor.setSegment("LDTR", { selector: 0, base: 0n, limitBytes: 0, rights: rights.unusable });
  processor.setSegment("TR", { selector: selectors.tss, base: 0n, limitBytes: 0x67, rights: rights.tss });
}

/** Writes the host-state area from the processor's state. */
export function writeHostState(processor: Processor, write: (field: number, value: bigint) => void): void {
  const put = (name: string, value: bigint): void => write(vmcsEncoding(name), value);
  for (const name of ["CR0", "CR3", "CR4"] as const) put(`HOST_${name}`, processor.register(name));
  for (const name of ["ES", "CS", "SS", "DS", "FS", "GS", "TR"] as const) {
    put(`HOST_${name}_SELECTOR`, BigInt(processor.segment(name).selector));
  }
  put("HOST_IA32_EFER", processor.register("EFER"));
  put("HOST_RIP", processor.register("RIP"));
}
