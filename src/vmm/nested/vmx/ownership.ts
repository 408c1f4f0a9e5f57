// Whose an exit of a guest's guest is: the same question is asked of the controls of both VMMs.
// Intel SDM vol. 3C, "Instructions That Cause VM Exits" and "Other Causes of VM Exits".

import { vmcsEncoding, vmxExitByNumber, type VmxControlName } from "../../../isa/index.js";
import { placeOf, type ControlValues } from "../../hardware/vmx/controls.js";
import type { VmxOperations } from "../../virtualization.js";
import type { Vmcs12 } from "./vmcs12.js";

/** What one VMM asked the processor to exit at. */
export interface Interceptions {
  control(name: VmxControlName): boolean;
  readonly exceptionBitmap: number;
  readonly pageFaultMask: number;
  readonly pageFaultMatch: number;
  /** Physical addresses of I/O bitmaps A and B and of the MSR bitmaps. */
  readonly ioBitmaps: readonly [a: bigint, b: bigint];
  readonly msrBitmaps: bigint;
}

export const interceptionFields = {
  exceptionBitmap: vmcsEncoding("EXCEPTION_BITMAP"),
  pageFaultMask: vmcsEncoding("PAGE_FAULT_ERROR_CODE_MASK"),
  pageFaultMatch: vmcsEncoding("PAGE_FAULT_ERROR_CODE_MATCH"),
  ioBitmaps: [vmcsEncoding("ADDRESS_OF_IO_BITMAP_A"), vmcsEncoding("ADDRESS_OF_IO_BITMAP_B")],
  msrBitmaps: vmcsEncoding("ADDRESS_OF_MSR_BITMAPS"),
} as const;

/** What this VMM asks for in the VMCS that is current; its control words may change later. */
export function ownInterceptions(vmx: VmxOperations, controls: ControlValues): Interceptions {
  const f = interceptionFields;
  const control = (name: VmxControlName): boolean => {
    const { word, mask } = placeOf(name);
    return (controls[word] & mask) !== 0;
  };
  return {
    control,
    exceptionBitmap: vmx.read32(f.exceptionBitmap),
    pageFaultMask: vmx.read32(f.pageFaultMask),
    pageFaultMatch: vmx.read32(f.pageFaultMatch),
    ioBitmaps: [vmx.read(f.ioBitmaps[0]), vmx.read(f.ioBitmaps[1])],
    msrBitmaps: vmx.read(f.msrBitmaps),
  };
}

/** What the guest's VMM asks for, read when it is asked. */
export class InnerInterceptions implements Interceptions {
  constructor(private readonly vmcs12: Vmcs12) {}

  control(name: VmxControlName): boolean {
    return this.vmcs12.control(name);
  }
  get exceptionBitmap(): number {
    return this.vmcs12.read32(interceptionFields.exceptionBitmap);
  }
  get pageFaultMask(): number {
    return this.vmcs12.read32(interceptionFields.pageFaultMask);
  }
  get pageFaultMatch(): number {
    return this.vmcs12.read32(interceptionFields.pageFaultMatch);
  }
  get ioBitmaps(): readonly [a: bigint, b: bigint] {
    const [a, b] = interceptionFields.ioBitmaps;
    return [this.vmcs12.read(a), this.vmcs12.read(b)];
  }
  get msrBitmaps(): bigint {
    return this.vmcs12.read(interceptionFields.msrBitmaps);
  }
}

/** The exit that happened. */
export interface ExitFacts {
  readonly reason: number;
  readonly qualification: bigint;
  readonly interruption: number;
  readonly errorCode: number;
  readonly rcx: number;
}

export type ReadByte = (address: bigint) => number;

const reasons = { exceptionOrNmi: 0, externalInterrupt: 1, io: 30, rdmsr: 31, wrmsr: 32 } as const;
const nmiType = 2;
const pageFault = 14;

/** Whether a VMM with these interceptions would have this exit. CR accesses and EPT are not asked here. */
export function causesExit(by: Interceptions, exit: ExitFacts, readByte: ReadByte): boolean {
  switch (exit.reason) {
    case reasons.exceptionOrNmi:
      return ((exit.interruption >> 8) & 7) === nmiType ? by.control("NMI_EXITING") : wantsException(by, exit);
    case reasons.io:
      return wantsPorts(by, exit, readByte);
    case reasons.rdmsr:
    case reasons.wrmsr:
      return wantsMsr(by, exit, readByte);
    default: {
      const when = vmxExitByNumber(exit.reason)?.when;
      return when === "always" || (when?.some((name) => by.control(name)) ?? false);
    }
  }
}

function wantsException(by: Interceptions, { interruption, errorCode }: ExitFacts): boolean {
  const vector = interruption & 0xff;
  const bit = ((by.exceptionBitmap >>> vector) & 1) === 1;
  if (vector !== pageFault) return bit;
  return ((errorCode & by.pageFaultMask) === by.pageFaultMatch) === bit;
}

/** An access that wraps around the end of the port space exits whatever the bitmaps say. */
function wantsPorts(by: Interceptions, { qualification }: ExitFacts, readByte: ReadByte): boolean {
  if (!by.control("USE_IO_BITMAPS")) return by.control("UNCONDITIONAL_IO_EXITING");
  const first = Number((qualification >> 16n) & 0xffffn);
  const bytes = Number(qualification & 7n) + 1;
  for (let port = first; port < first + bytes; port++) {
    if (port > 0xffff) return true;
    const bitmap = by.ioBitmaps[port >> 15] ?? 0n;
    if (((readByte(bitmap + BigInt((port & 0x7fff) >> 3)) >> (port & 7)) & 1) === 1) return true;
  }
  return false;
}

function wantsMsr(by: Interceptions, { reason, rcx }: ExitFacts, readByte: ReadByte): boolean {
  if (!by.control("USE_MSR_BITMAPS")) return true;
  const high = rcx >= 0xc000_0000;
  if (rcx - (high ? 0xc000_0000 : 0) > 0x1fff) return true;
  const offset = (reason === reasons.wrmsr ? 0x800 : 0) + (high ? 0x400 : 0) + ((rcx & 0x1fff) >> 3);
  return ((readByte(by.msrBitmaps + BigInt(offset)) >> (rcx & 7)) & 1) === 1;
}
