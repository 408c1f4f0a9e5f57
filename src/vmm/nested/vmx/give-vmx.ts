// Makes a virtual processor of the `hardware` VMM one that has VMX.

import type { PageAllocator } from "../../page-allocator.js";
import type { VmmPolicy } from "../../policy.js";
import type { Processor, VmxOperations } from "../../virtualization.js";
import type { VmxVcpu } from "../../hardware/vmx/vcpu.js";
import { writeHostState } from "../../hardware/vmx/root-state.js";
import { NestedVmx } from "./nested-vmx.js";

const basicMsr = 0x480;
const revisionMask = 0x7fff_ffffn;

export interface GivenVmx {
  readonly processor: Processor;
  readonly vmx: VmxOperations;
  readonly pages: PageAllocator;
  readonly policy: VmmPolicy;
  /** The VMCS that the guest runs on; it is current. */
  readonly region: bigint;
  /** IA32_FEATURE_CONTROL as the firmware left it. */
  readonly featureControl: bigint;
}

/** Gives the guest VMX; before its first entry. */
export function giveVmx(vcpu: VmxVcpu, given: GivenVmx): void {
  const { processor, vmx, pages, region } = given;
  const inner = BigInt(pages.take());
  processor.writeU32(inner, Number((processor.readMsr(basicMsr) ?? 0n) & revisionMask));
  vmx.clear(inner);
  vmx.load(inner);
  writeHostState(processor, (field, value) => vmx.write(field, value));
  vmx.load(region);
  const suspend = (): void => void vcpu.suspend();
  const parts = { ...given, setup: vcpu.setup, regions: [region, inner] as const, suspend };
  const nested = new NestedVmx(parts, vcpu.guest, (vector) => vcpu.queueInterrupt(vector));
  vcpu.nested = nested;
  vcpu.guest.readVmcs = (encoding) => nested.readVmcs(encoding);
  vcpu.guest.nestedPhysical = (address) => nested.physical(address);
}
