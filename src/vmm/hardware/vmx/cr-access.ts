// Accesses to control registers that exit: bits of CR0 and CR4 that the VMM owns, and what the test asked for.
// Intel SDM vol. 3C, "Basic VM-Exit Information", table "Exit Qualification for Control-Register Accesses".

import { cr0Bits } from "../../../isa/index.js";
import type { ExitClass } from "../../../program/index.js";
import type { VmmStop } from "../../bundled.js";
import { loadCr0, loadCr3, loadCr4 } from "../control-registers.js";
import type { VmxGuest } from "./vmx-guest.js";
import type { VmxVcpu } from "./vcpu.js";
import { field } from "./vmcs-fields.js";

const access = { movToCr: 0, movFromCr: 1, clts: 2, lmsw: 3 } as const;
/** LMSW changes PE (which it can only set), MP, EM and TS. */
const lmswBits = 0xfn;

/** CR_ACCESS. */
export function crAccess(vcpu: VmxVcpu): VmmStop | undefined {
  const { guest } = vcpu;
  const qualification = Number(guest.vmx.read(field.exitQualification) & 0xffff_ffffn);
  const register = qualification & 0xf;
  const general = (qualification >> 8) & 0xf;
  const exitClass = classOf(vcpu, qualification);
  guest.classify(exitClass);
  let done = true;
  switch ((qualification >> 4) & 3) {
    case access.movToCr:
      done = moveTo(guest, register, guest.general(general));
      break;
    case access.movFromCr:
      guest.setGeneral(general, moveFrom(guest, register));
      break;
    case access.clts:
      guest.setRegister("CR0", guest.register("CR0") & ~cr0Bits.TS);
      break;
    case access.lmsw:
      done = loadMachineStatus(guest, BigInt(qualification >>> 16));
      break;
  }
  if (!done) {
    guest.inject({ vector: 13, errorCode: 0 });
    return undefined;
  }
  if (exitClass === "public") guest.emulated("CR_ACCESS");
  guest.advance();
  return undefined;
}

/**
 * Public where the test asked, where the hardware leaves no choice (CR3 on the first generation), and where the guest
 * meets a bit that the baseline policy hides. All else is the VMM's own need.
 */
function classOf({ guest, setup }: VmxVcpu, qualification: number): ExitClass {
  if (setup.watchesCr3) return "public";
  const register = qualification & 0xf;
  if (register === 3) return setup.cr3Exits ? "public" : "internal";
  if ((qualification >> 4) & 3) return "internal";
  const differs = guest.general((qualification >> 8) & 0xf) ^ guest.register(`CR${register}`);
  const { hidden } = register === 0 ? setup.cr0 : setup.cr4;
  return (differs & hidden) === 0n ? "internal" : "public";
}

/** MOV to CR; outside 64-bit mode the operand is 32 bits wide. False where the guest gets #GP(0) instead. */
function moveTo(guest: VmxGuest, register: number, operand: bigint): boolean {
  const value = guest.codeBits === 64 ? operand : operand & 0xffff_ffffn;
  switch (register) {
    case 0:
      return loadCr0(guest, value);
    case 3:
      return loadCr3(guest, value);
    case 4:
      return loadCr4(guest, value);
    default:
      return guest.writeTaskPriority(value);
  }
}

function moveFrom(guest: VmxGuest, register: number): bigint {
  return guest.register(`CR${register}`);
}

function loadMachineStatus(guest: VmxGuest, source: bigint): boolean {
  const old = guest.register("CR0");
  const stays = old & cr0Bits.PE;
  return loadCr0(guest, (old & ~lmswBits) | (source & lmswBits) | stays);
}
