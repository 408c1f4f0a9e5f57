// What a guest's guest exits at: all that either VMM asks for. Intel SDM vol. 3C, "VM-Execution Control Fields".

import { vmcsEncoding } from "../../../isa/index.js";
import type { Processor, VmxOperations } from "../../virtualization.js";
import type { Interceptions } from "./ownership.js";
import type { Vmcs12 } from "./vmcs12.js";

const place = {
  exceptionBitmap: vmcsEncoding("EXCEPTION_BITMAP"),
  pageFaultMask: vmcsEncoding("PAGE_FAULT_ERROR_CODE_MASK"),
  pageFaultMatch: vmcsEncoding("PAGE_FAULT_ERROR_CODE_MATCH"),
  ioA: vmcsEncoding("ADDRESS_OF_IO_BITMAP_A"),
  ioB: vmcsEncoding("ADDRESS_OF_IO_BITMAP_B"),
  msr: vmcsEncoding("ADDRESS_OF_MSR_BITMAPS"),
} as const;
const pageFaultBit = 1n << 14n;

/** Places of the merged bitmaps in this VMM's memory. */
export interface MergedBitmaps {
  readonly io: bigint;
  readonly msrs: bigint;
}

/** What a VMCS asks for. */
export function interceptionsOf(control: Interceptions["control"], read: (encoding: number) => bigint): Interceptions {
  const number = (encoding: number): number => Number(read(encoding) & 0xffff_ffffn);
  return {
    control,
    exceptionBitmap: number(place.exceptionBitmap),
    pageFaultMask: number(place.pageFaultMask),
    pageFaultMatch: number(place.pageFaultMatch),
    ioBitmaps: [read(place.ioA), read(place.ioB)],
    msrBitmaps: read(place.msr),
  };
}

/** Writes the exception bitmap and the bitmaps of ports and MSRs of both VMMs into the current VMCS, which is 02. */
export function mergeInterceptions(
  { processor, vmx }: { readonly processor: Processor; readonly vmx: VmxOperations },
  own: Interceptions,
  vmcs12: Vmcs12,
  into: MergedBitmaps,
): void {
  const theirs = interceptionsOf(
    (name) => vmcs12.control(name),
    (encoding) => vmcs12.read(encoding),
  );
  const ownFault = (BigInt(own.exceptionBitmap) & pageFaultBit) !== 0n;
  vmx.write(place.exceptionBitmap, BigInt((own.exceptionBitmap | theirs.exceptionBitmap) >>> 0));
  vmx.write(place.pageFaultMask, ownFault ? 0n : BigInt(theirs.pageFaultMask));
  vmx.write(place.pageFaultMatch, ownFault ? 0n : BigInt(theirs.pageFaultMatch));
  const usesIo = vmcs12.control("USE_IO_BITMAPS");
  const everyPort = !usesIo && vmcs12.control("UNCONDITIONAL_IO_EXITING");
  if (usesIo || everyPort) {
    own.ioBitmaps.forEach((mine, i) => {
      const merged = processor.readPhysical(mine, 0x1000);
      if (everyPort) merged.fill(0xff);
      else addBits(merged, processor.readPhysical(theirs.ioBitmaps[i] ?? 0n, 0x1000));
      processor.writePhysical(into.io + BigInt(i * 0x1000), merged);
    });
  }
  const msrs = processor.readPhysical(own.msrBitmaps, 0x1000);
  if (vmcs12.control("USE_MSR_BITMAPS")) addBits(msrs, processor.readPhysical(theirs.msrBitmaps, 0x1000));
  else msrs.fill(0xff);
  processor.writePhysical(into.msrs, msrs);
  // Where the guest's VMM asks for no ports, this VMM's own bitmaps say all.
  const [ioA, ioB] = usesIo || everyPort ? [into.io, into.io + 0x1000n] : own.ioBitmaps;
  vmx.write(place.ioA, ioA);
  vmx.write(place.ioB, ioB);
  vmx.write(place.msr, into.msrs);
}

function addBits(to: Uint8Array, from: Uint8Array): void {
  const words = new Uint32Array(to.buffer, to.byteOffset, to.length / 4);
  const added = new Uint32Array(from.buffer, from.byteOffset, from.length / 4);
  for (let i = 0; i < words.length; i++) words[i] = (words[i] ?? 0) | (added[i] ?? 0);
}
