// VM entry: which checks need not be made again. The manual has no such thing.
//
// Most checks read nothing but fields of the VMCS, controls and constants of the model. The fields that they read are
// kept as they were when an entry passed; an entry that finds them the same makes only the checks that read other things:
// state that every VM exit writes anew, and memory.

import { cpu } from "./layout.generated";
import { EFER_LMA, VM } from "./state";
import * as F from "./vmx-fields.generated";
import { USE_TPR_SHADOW } from "./vmx-facts.generated";
import { read, vmx } from "./vmx-state";

/** Begin and end of the runs of fields in a VMCS region that the checks read which are left out. */
const runs: StaticArray<u32> = [
  F.VIRTUAL_PROCESSOR_IDENTIFIER, F.POSTED_INTERRUPT_NOTIFICATION_VECTOR + 8,
  F.GUEST_ES_SELECTOR, F.GUEST_TR_SELECTOR + 8,
  F.HOST_ES_SELECTOR, F.HOST_TR_SELECTOR + 8,
  F.ADDRESS_OF_IO_BITMAP_A, F.TSC_MULTIPLIER + 8,
  F.GUEST_IA32_DEBUGCTL, F.GUEST_IA32_BNDCFGS + 8,
  F.HOST_IA32_PAT, F.HOST_IA32_PERF_GLOBAL_CTRL + 8,
  F.PIN_BASED_VM_EXECUTION_CONTROLS, F.PLE_WINDOW + 8,
  F.GUEST_ES_LIMIT, F.GUEST_TR_ACCESS_RIGHTS + 8,
  F.GUEST_CR0, F.GUEST_DR7 + 8,
  F.GUEST_IA32_SYSENTER_ESP, F.GUEST_IA32_SYSENTER_EIP + 8,
  F.HOST_CR0, F.HOST_RIP + 8,
]; // prettier-ignore

/** How many VMCSs are known at a time: those of a VMM, of its guest's VMM, and of the guests of both. */
const KNOWN: u32 = 4;
/** The fields of each as they were, every one at its offset in the region. */
const KEPT_BYTES: u32 = F.HOST_RIP + 8;
const kept: usize = memory.data(KNOWN * KEPT_BYTES, 8);
/** Host pointers of their regions, 0 for none, and what else decided. */
const regions = new StaticArray<u32>(KNOWN);
const modes = new StaticArray<u64>(KNOWN);
let next: u32 = 0;

/** What the checks read beside the fields: the host's mode, and whether the guest is in virtual-8086 mode. */
function mode(): u64 {
  return (cpu.efer & EFER_LMA) | (read(F.GUEST_RFLAGS) & VM);
}

function numberOfCurrent(): u32 {
  let number: u32 = 0;
  while (number < KNOWN && unchecked(regions[number]) != vmx.region) number++;
  return number;
}

/** True when the checks of controls, host state, and guest registers would all find what they found before. */
export function isKnownEntry(): bool {
  const number = numberOfCurrent();
  if (number == KNOWN || unchecked(modes[number]) != mode()) return false;
  const distance = kept + number * KEPT_BYTES - vmx.region;
  for (let i = 0; i < runs.length; i += 2) {
    const end = vmx.region + unchecked(runs[i + 1]);
    for (let at = vmx.region + unchecked(runs[i]); at < end; at += 8) {
      if (load<u64>(at) != load<u64>(at + distance)) return false;
    }
  }
  return true;
}

/** All checks have passed. The TPR threshold is compared with memory, so with a TPR shadow nothing is kept. */
export function keepEntry(): void {
  if ((vmx.primary & USE_TPR_SHADOW) != 0) return;
  let number = numberOfCurrent();
  if (number == KNOWN) {
    number = next;
    next = (next + 1) % KNOWN;
  }
  memory.copy(kept + number * KEPT_BYTES, vmx.region, KEPT_BYTES);
  unchecked((regions[number] = vmx.region));
  unchecked((modes[number] = mode()));
}

/** What the model is, or something else that the host program sets, may have changed. */
export function forgetEntries(): void {
  for (let number: u32 = 0; number < KNOWN; number++) unchecked((regions[number] = 0));
}
