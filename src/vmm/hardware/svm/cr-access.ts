// Accesses to control registers that exit on SVM: those of a guest on shadow page tables, and those asked for.
//
// Without decode assists the exit does not tell the operand, so the VMM decodes the instruction itself.
// AMD APM vol. 2, "Control-Register Access Intercepts".

import { cr0Bits, registerByName } from "../../../isa/index.js";
import type { OperandValue } from "../../../codec/index.js";
import type { VmmStop } from "../../bundled.js";
import { loadCr0, loadCr4 } from "../control-registers.js";
import { decodeAtRip } from "../instruction-length.js";
import type { SvmGuest } from "./svm-guest.js";
import type { SvmVcpu } from "./vcpu.js";

/** LMSW changes PE (which it can only set), MP, EM and TS. */
const lmswBits = 0xfn;

/** CR0_READ, CR3_WRITE and the like; `name` is the exit's. */
export function crAccess(vcpu: SvmVcpu, name: string): VmmStop | undefined {
  const { guest } = vcpu;
  const isAsked = guest.policy.intercepts.includes(name);
  guest.classify(isAsked ? "public" : "internal");
  const decoded = decodeAtRip(guest);
  const operands = decoded?.value.operands ?? [];
  const done = decoded && carryOut(guest, decoded.value.mnemonic, operands);
  if (decoded === undefined || done === undefined)
    return vcpu.refuse("an access to a control register has an operand in memory");
  if (!done) {
    guest.inject({ vector: 13, errorCode: 0 });
    return undefined;
  }
  if (isAsked) guest.emulated(name);
  guest.advance(decoded.length);
  return undefined;
}

/** False where the guest gets #GP(0); undefined where the operand is none that is carried out here. */
function carryOut(guest: SvmGuest, mnemonic: string, operands: readonly OperandValue[]): boolean | undefined {
  const cr0 = guest.register("CR0");
  if (mnemonic === "clts") return loadCr0(guest, cr0 & ~cr0Bits.TS);
  const [first, second] = operands.map((operand) =>
    operand.kind === "register" ? operand.name.toUpperCase() : undefined,
  );
  if (first === undefined) return undefined;
  if (mnemonic === "lmsw") {
    return loadCr0(guest, (cr0 & ~lmswBits) | (valueOf(guest, first) & lmswBits) | (cr0 & cr0Bits.PE));
  }
  if (mnemonic === "smsw") return store(guest, first, cr0);
  if (second === undefined) return undefined;
  if (second.startsWith("CR")) return store(guest, first, guest.register(second));
  return load(guest, first, valueOf(guest, second));
}

function load(guest: SvmGuest, register: string, value: bigint): boolean {
  if (register === "CR0") return loadCr0(guest, value);
  if (register === "CR4") return loadCr4(guest, value);
  if (value >> BigInt(guest.platform.cpu.physicalAddressBits) !== 0n) return false;
  guest.setRegister("CR3", value);
  return true;
}

function valueOf(guest: SvmGuest, name: string): bigint {
  const info = registerByName(name);
  return BigInt.asUintN(info?.sizeBits ?? 64, guest.general(info?.number ?? 0));
}

/** 16-bit results keep the rest of the register, 32-bit ones clear the upper half. */
function store(guest: SvmGuest, name: string, value: bigint): true {
  const info = registerByName(name);
  const number = info?.number ?? 0;
  const bits = info?.sizeBits ?? 64;
  const kept = bits === 16 ? guest.general(number) & ~0xffffn : 0n;
  guest.setGeneral(number, kept | BigInt.asUintN(bits, value));
  return true;
}
