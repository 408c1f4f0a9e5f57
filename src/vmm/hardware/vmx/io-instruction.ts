// I/O instructions that exit. Intel SDM vol. 3C, "Basic VM-Exit Information", table "Exit Qualification for I/O
// Instructions"; for INS and OUTS also "Information for VM Exits Due to Instruction Execution".

import type { VmmStop } from "../../bundled.js";
import { deniedEnd } from "../denied.js";
import { deniedPort, emulateIo, type IoAccess } from "../io.js";
import type { VmxVcpu } from "./vcpu.js";
import type { VmxGuest } from "./vmx-guest.js";
import { field } from "./vmcs-fields.js";

const segmentNames = ["ES", "CS", "SS", "DS", "FS", "GS"] as const;
const addressSizes = [16, 32, 64] as const;

/** IO_INSTRUCTION. */
export function ioInstruction({ guest }: VmxVcpu): VmmStop | undefined {
  const access = readAccess(guest);
  guest.classify("public");
  const denied = deniedPort(guest, access);
  if (denied) return deniedEnd(guest, denied, { vector: 13, errorCode: 0 });
  if (!emulateIo(guest, access)) return undefined;
  guest.emulated("IO_INSTRUCTION");
  guest.advance();
  return undefined;
}

function readAccess(guest: VmxGuest): IoAccess {
  const qualification = Number(guest.vmx.read(field.exitQualification) & 0xffff_ffffn);
  const string = (qualification & 0x10) !== 0;
  const input = (qualification & 8) !== 0;
  const information = string ? Number(guest.vmx.read(field.exitInstructionInfo)) : 0;
  // INS stores through ES whatever the prefixes say.
  const segment = input ? "ES" : (segmentNames[(information >> 15) & 7] ?? "DS");
  const flat = guest.codeBits === 64 && segment !== "FS" && segment !== "GS";
  return {
    port: qualification >>> 16,
    sizeBytes: (qualification & 7) + 1,
    input,
    string,
    rep: (qualification & 0x20) !== 0,
    segmentBase: string && !flat ? guest.segment(segment).base : 0n,
    addressBits: addressSizes[(information >> 7) & 7] ?? 64,
  };
}
