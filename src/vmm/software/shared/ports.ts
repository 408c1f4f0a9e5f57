// IN, OUT, INS and OUTS: in the outer rings they fault, because the VMM's TSS gives no port away. The guest's own IOPL
// and I/O permission bitmap decide first: Intel SDM vol. 1, "I/O Permission Bit Map".

import { deniedPort, emulateIo } from "../../hardware/io.js";
import { gpr } from "../../hardware/exited-guest.js";
import type { SegmentRegisterName } from "../../virtualization.js";
import { deniedOutcome, type Outcome } from "./emulation.js";
import type { GuestInstruction } from "../../emulation/instruction.js";
import type { SoftwareGuest } from "./software-guest.js";

const ioMapBase = 0x66n;

/** What the mnemonic says of an access. */
export interface PortForm {
  readonly input: boolean;
  readonly string: boolean;
  readonly addressBits: 16 | 32;
}

export function portInstruction(
  guest: SoftwareGuest,
  { decoded }: GuestInstruction,
  form: PortForm,
): Outcome | undefined {
  const { mnemonic, operands, prefixes } = decoded.value;
  const sizeBytes = form.string ? stringBytes(mnemonic) : accumulatorBytes(operands[form.input ? 0 : 1]);
  const named = operands[form.input ? 1 : 0];
  const port = !form.string && named?.kind === "immediate" ? Number(named.value) : guest.general32(gpr.rdx) & 0xffff;
  if (!mayUse(guest, port, sizeBytes)) return undefined;
  const override = prefixes.find((word) => /^[cdefgs]s$/.test(word));
  const segment = form.input ? "ES" : ((override?.toUpperCase() ?? "DS") as SegmentRegisterName);
  const access = {
    port,
    sizeBytes,
    ...form,
    rep: prefixes.includes("rep") || prefixes.includes("repne"),
    segmentBase: form.string ? guest.segment(segment).base : 0n,
  };
  const denied = deniedPort(guest, access);
  if (denied) return deniedOutcome(denied);
  if (emulateIo(guest, access)) return "done";
  const { raised } = guest;
  guest.raised = undefined;
  return raised ? { fault: raised } : "again";
}

function stringBytes(mnemonic: string): number {
  return mnemonic.endsWith("b") ? 1 : mnemonic.endsWith("w") ? 2 : 4;
}

function accumulatorBytes(operand: GuestInstruction["decoded"]["value"]["operands"][number] | undefined): number {
  const name = operand?.kind === "register" ? operand.name : "";
  return name === "al" ? 1 : name === "ax" ? 2 : 4;
}

/** IOPL, or the bitmap of the guest's TSS: every byte of the access needs its bit clear. */
function mayUse(guest: SoftwareGuest, port: number, sizeBytes: number): boolean {
  if (BigInt(guest.cpl) <= guest.iopl >> 12n) return true;
  const { tr, memory } = guest;
  if ((tr.rights & 8) === 0 || tr.limitBytes < Number(ioMapBase) + 1) return false;
  const [low = 0xff, high = 0xff] = memory.peek(tr.base + ioMapBase, 2);
  const first = (high << 8) + low + (port >> 3);
  if (first + 1 > tr.limitBytes) return false;
  const [one = 0xff, two = 0xff] = memory.peek(tr.base + BigInt(first), 2);
  const mask = ((1 << sizeBytes) - 1) << (port & 7);
  return (((two << 8) | one) & mask) === 0;
}
