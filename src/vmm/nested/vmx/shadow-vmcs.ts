// Where the processor has VMCS shadowing, VMREAD and VMWRITE of the guest's VMM do not exit: they work on a shadow VMCS
// of this VMM's, which holds the fields of the current VMCS of the guest's VMM (12) while that one runs.
// Intel SDM vol. 3C, "VMCS Types: Ordinary and Shadow"; "VMREAD Bitmap and VMWRITE Bitmap".

import { kindOfEncoding, imageWords, slotsOffsetBytes, vmcsEncoding, widthOfEncoding } from "../../../isa/index.js";
import { placeOf, VmxControls } from "../../hardware/vmx/controls.js";
import type { VmxSetup } from "../../hardware/vmx/setup.js";
import type { PageAllocator } from "../../page-allocator.js";
import type { Processor, VmxOperations } from "../../virtualization.js";
import { offeredFields, offeredMsr } from "./offer.js";
import type { Vmcs12 } from "./vmcs12.js";

const pageBytes = 0x1000;
const shadowIndicator = 0x8000_0000;
const miscMsr = 0x485;
const basicMsr = 0x480;
const writesAnyField = 1n << 29n;
const noLink = 0xffff_ffff_ffff_ffffn;
const place = {
  readBitmap: vmcsEncoding("VMREAD_BITMAP_ADDRESS"),
  writeBitmap: vmcsEncoding("VMWRITE_BITMAP_ADDRESS"),
  secondary: vmcsEncoding("SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS"),
  link: vmcsEncoding("VMCS_LINK_POINTER"),
} as const;

export interface ShadowVmcsParts {
  readonly processor: Processor;
  readonly vmx: VmxOperations;
  readonly pages: PageAllocator;
  readonly setup: VmxSetup;
}

export class ShadowVmcs {
  private readonly region: bigint;
  private readonly image: Uint32Array;
  private isLinked = false;

  private constructor(private readonly parts: ShadowVmcsParts) {
    const { processor, vmx, pages } = parts;
    const page = (bytes: Uint8Array): bigint => {
      const address = BigInt(pages.take());
      processor.writePhysical(address, bytes);
      return address;
    };
    this.region = page(new Uint8Array(pageBytes));
    const revision = Number((processor.readMsr(basicMsr) ?? 0n) & 0x7fff_ffffn);
    processor.writeU32(this.region, (revision | shadowIndicator) >>> 0);
    const { buffer, byteOffset } = processor.window(this.region, pageBytes);
    this.image = new Uint32Array(buffer, byteOffset + slotsOffsetBytes, imageWords);
    const { cpu } = processor.platform;
    const writesAny = ((offeredMsr(cpu, miscMsr) ?? 0n) & writesAnyField) !== 0n;
    const offered = [...offeredFields(cpu)];
    const writable = offered.filter((encoding) => writesAny || kindOfEncoding(encoding) !== "read-only");
    vmx.write(place.readBitmap, page(exitsButFor(offered)));
    vmx.write(place.writeBitmap, page(exitsButFor(writable)));
  }

  /** A shadow VMCS for the guest whose VMCS (01) is current; undefined where the processor has none. */
  static on(parts: ShadowVmcsParts): ShadowVmcs | undefined {
    const controls = new VmxControls((address) => parts.processor.readMsr(address));
    return controls.allows("VMCS_SHADOWING") ? new ShadowVmcs(parts) : undefined;
  }

  /** The guest's VMM goes on, on 01, with this VMCS as its current one; without one the instructions exit. */
  publish(vmcs12: Vmcs12 | undefined): void {
    if (vmcs12) this.image.set(vmcs12.image);
    if ((vmcs12 !== undefined) === this.isLinked) return;
    this.isLinked = vmcs12 !== undefined;
    const { vmx, setup } = this.parts;
    const { mask } = placeOf("VMCS_SHADOWING");
    const { secondary } = setup.controls;
    setup.controls.secondary = (this.isLinked ? secondary | mask : secondary & ~mask) >>> 0;
    vmx.write(place.secondary, BigInt(setup.controls.secondary));
    vmx.write(place.link, this.isLinked ? this.region : noLink);
  }

  /** Brings what the guest's VMM wrote since into its VMCS. */
  collect(vmcs12: Vmcs12 | undefined): void {
    if (vmcs12 && this.isLinked) vmcs12.image.set(this.image);
  }
}

/** A bitmap by which accesses exit but for those of some fields, the high halves of 64-bit ones included. */
function exitsButFor(encodings: readonly number[]): Uint8Array {
  const bitmap = new Uint8Array(pageBytes).fill(0xff);
  const open = (encoding: number): void => {
    bitmap[encoding >> 3] = (bitmap[encoding >> 3] ?? 0) & ~(1 << (encoding & 7));
  };
  for (const encoding of encodings) {
    open(encoding);
    if (widthOfEncoding(encoding) === 64) open(encoding | 1);
  }
  return bitmap;
}
