// VM functions. Intel SDM vol. 3, chapter "VMX Non-Root Operation", "VM Functions".

import { cpu } from "./layout.generated";
import { ABORT, END } from "./state";
import { flushTlb } from "./tlb";
import { validEptPointer } from "./vmx-check-controls";
import { exitBecause } from "./vmx-exit";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { physicalRead } from "./physical";
import { read, vmx, write } from "./vmx-state";

const EPTP_LIST_ENTRIES: u32 = 512;

/** VMFUNC in a guest whose VM functions are enabled: function EAX, or an exit. */
export function vmFunction(): u32 {
  const number = <u32>cpu.rax;
  const enabled = number < 64 && ((read(F.VM_FUNCTION_CONTROLS) >> number) & 1) != 0;
  if (!enabled || number != 0 || !switchEptp(<u32>cpu.rcx)) {
    exitBecause(X.EXIT_VMFUNC, 0);
    return ABORT;
  }
  return END;
}

/** "EPTP Switching": function 0 loads an EPT pointer from the list. */
function switchEptp(index: u32): bool {
  if (index >= EPTP_LIST_ENTRIES) return false;
  const eptp = physicalRead(read(F.EPTP_LIST_ADDRESS) + (<u64>index << 3), 8);
  if (!validEptPointer(eptp)) return false;
  write(F.EPT_POINTER, eptp);
  vmx.eptp = eptp;
  if ((vmx.secondary & X.EPT_VIOLATION_VE) != 0) write(F.EPTP_INDEX, index);
  flushTlb();
  return true;
}
