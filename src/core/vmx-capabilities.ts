// Takes over from the model's MSRs what VMX of this processor can do.
// Intel SDM vol. 3, appendix "VMX Capability Reporting Facility".

import { msrExists, msrValue } from "./msr";
import { slotRecords } from "./vmx-fields.generated";
import {
  WORD_ENTRY, WORD_EXIT, WORD_PIN, WORD_PRIMARY, WORD_SECONDARY, WORD_VMFUNC, allowedOnes, setCapability, setSlotKind,
  slotCount, vmx,
} from "./vmx-state"; // prettier-ignore

const BASIC: u32 = 0x480;
const TRUE_CONTROLS: u64 = 1 << 55;

function value(address: u32): u64 {
  return msrExists(address) ? msrValue(address) : 0;
}

/** Reads the capability MSRs; cheap enough for VMXON, which is their only reader. */
export function loadCapabilities(): void {
  vmx.basic = value(BASIC);
  vmx.misc = value(0x485);
  vmx.cr0Fixed0 = value(0x486);
  vmx.cr0Fixed1 = value(0x487);
  vmx.cr4Fixed0 = value(0x488);
  vmx.cr4Fixed1 = value(0x489);
  vmx.eptVpid = value(0x48c);
  const exact = (vmx.basic & TRUE_CONTROLS) != 0;
  setCapability(WORD_PIN, value(exact ? 0x48d : 0x481));
  setCapability(WORD_PRIMARY, value(exact ? 0x48e : 0x482));
  setCapability(WORD_SECONDARY, value(0x48b));
  setCapability(WORD_EXIT, value(exact ? 0x48f : 0x483));
  setCapability(WORD_ENTRY, value(exact ? 0x490 : 0x484));
  setCapability(WORD_VMFUNC, value(0x491) << 32);
  for (let slot: u32 = 0; slot < slotCount(); slot++) {
    const record = slotRecords[slot];
    setSlotKind(slot, fieldExists(record) ? record & 0xff : 0);
  }
}

/** Bytes 1 and 2 of the record are conditions: 1 + 32 times the word, plus the bit; one of them must be allowed. */
function fieldExists(record: u32): bool {
  const first = (record >> 8) & 0xff;
  const second = (record >> 16) & 0xff;
  if ((record & 1) == 0) return false;
  return first == 0 || allowed(first) || (second != 0 && allowed(second));
}

function allowed(condition: u32): bool {
  const number = condition - 1;
  return ((allowedOnes(number >> 5) >> (number & 31)) & 1) != 0;
}
