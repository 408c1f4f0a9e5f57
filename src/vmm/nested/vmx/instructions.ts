// The VMX instructions of a guest's VMM, which exit to this one: their faults and failures in the manual's order.
// Intel SDM vol. 3C, "VMX Instruction Reference".

import {
  cr4Bits,
  featureControlBits,
  kindOfEncoding,
  slotOf,
  slotsOffsetBytes,
  vmcsEncoding,
} from "../../../isa/index.js";
import type { InjectedEvent } from "../../hardware/exited-guest.js";
import { field } from "../../hardware/vmx/vmcs-fields.js";
import type { VmxGuest } from "../../hardware/vmx/vmx-guest.js";
import type { Processor } from "../../virtualization.js";
import { offeredFields, offeredMsr, offers } from "./offer.js";
import { operandBytes, Operands, privilege } from "./operands.js";
import { Vmcs12 } from "./vmcs12.js";

const noPointer = 0xffff_ffff_ffff_ffffn;
const instructionError = vmcsEncoding("VM_INSTRUCTION_ERROR");
const readOnly = "read-only";
const flags = { carry: 1n, zero: 1n << 6n, status: 0x8d5n } as const;
const capability = {
  basic: 0x480,
  misc: 0x485,
  cr0Fixed0: 0x486,
  cr0Fixed1: 0x487,
  cr4Fixed0: 0x488,
  cr4Fixed1: 0x489,
  eptVpid: 0x48c,
} as const;
const writesAnyField = 1n << 29n;

/** What an instruction comes to. */
export type Outcome =
  | { readonly kind: "succeed" }
  | { readonly kind: "fault"; readonly event: InjectedEvent }
  /** VMfailInvalid where the error number is 0. */
  | { readonly kind: "fail"; readonly error: number; readonly rule: string };

const succeed: Outcome = { kind: "succeed" };
const undefinedOpcode: Outcome = { kind: "fault", event: { vector: 6 } };
const protection: Outcome = { kind: "fault", event: { vector: 13, errorCode: 0 } };

/** VMX operation of the guest: what the manual keeps "in the processor". */
export class VmxInstructions {
  isOn = false;
  current: Vmcs12 | undefined;
  private vmxonPointer = noPointer;

  constructor(
    private readonly guest: VmxGuest,
    private readonly processor: Processor,
    /** IA32_FEATURE_CONTROL as the guest sees it. */
    private readonly firmware: { readonly featureControl: bigint },
    private readonly dropTranslations: () => void,
  ) {}

  /** Faults that come before anything else; undefined where there is none. */
  before(name: string): Outcome | undefined {
    if (name === "VMXON" && (this.guest.register("CR4") & cr4Bits.VMXE) === 0n) return undefinedOpcode;
    if (!this.isOn && name !== "VMXON") return undefinedOpcode;
    return privilege(this.guest) === 0 ? undefined : protection;
  }

  /** Carries out every instruction but VMLAUNCH and VMRESUME. */
  execute(name: string): Outcome {
    switch (name) {
      case "VMXON":
        return this.vmxon();
      case "VMXOFF":
        this.isOn = false;
        this.current = undefined;
        return succeed;
      case "VMCALL":
        return this.fail(1, "vmcall.root");
      case "VMCLEAR":
        return this.vmclear();
      case "VMPTRLD":
        return this.vmptrld();
      case "VMPTRST":
        return this.store(this.operands, 8, this.current?.address ?? noPointer);
      case "VMREAD":
        return this.vmread();
      case "VMWRITE":
        return this.vmwrite();
      default:
        return name === "INVEPT" ? this.invept() : this.invvpid();
    }
  }

  /** VMfail: valid where there is a current VMCS to hold the error. */
  fail(error: number, rule: string): Outcome {
    return { kind: "fail", error: this.current ? error : 0, rule };
  }

  /** Sets the flags and the error field, or raises the fault; completes the instruction. */
  conclude(outcome: Outcome): void {
    const { guest } = this;
    if (outcome.kind === "fault") {
      guest.inject(outcome.event);
      return;
    }
    let set = 0n;
    if (outcome.kind === "fail") {
      set = outcome.error === 0 ? flags.carry : flags.zero;
      if (outcome.error !== 0) this.current?.write(instructionError, BigInt(outcome.error));
      this.tellFailure(outcome.error, outcome.rule);
    }
    guest.setRegister("RFLAGS", (guest.register("RFLAGS") & ~flags.status) | set);
    guest.advance();
  }

  private tellFailure(error: number, rule: string): void {
    const { events, rip } = this.guest;
    if (!events.listening) return;
    const subject = error === 0 ? "VMfailInvalid" : "VMfailValid";
    events.append({ kind: "fail", subject, fields: error === 0 ? {} : { error: BigInt(error) }, rule, rip });
  }

  private vmxon(): Outcome {
    if (this.isOn) return this.fail(15, "vmxon.root");
    const { guest } = this;
    const needed = featureControlBits.LOCK | featureControlBits.VMX;
    const obeys = (value: bigint, fixed0: number, fixed1: number): boolean =>
      (~value & this.capability(fixed0)) === 0n && (value & ~this.capability(fixed1)) === 0n;
    if (!obeys(guest.register("CR0"), capability.cr0Fixed0, capability.cr0Fixed1)) return protection;
    if (!obeys(guest.register("CR4"), capability.cr4Fixed0, capability.cr4Fixed1)) return protection;
    if ((this.firmware.featureControl & needed) !== needed) return protection;
    const pointer = this.pointer();
    if (typeof pointer !== "bigint") return pointer;
    if (!this.isPointer(pointer)) return { kind: "fail", error: 0, rule: "vmxon.address" };
    if (this.header(pointer) !== this.revision) return { kind: "fail", error: 0, rule: "vmxon.revision" };
    this.isOn = true;
    this.vmxonPointer = pointer;
    this.current = undefined;
    return succeed;
  }

  private vmclear(): Outcome {
    const pointer = this.pointer();
    if (typeof pointer !== "bigint") return pointer;
    if (!this.isPointer(pointer)) return this.fail(2, "vmclear.address");
    if (pointer === this.vmxonPointer) return this.fail(3, "vmclear.vmxon_pointer");
    if (this.isMemory(pointer)) new Vmcs12(this.processor, pointer).launched = false;
    if (this.current?.address === pointer) this.current = undefined;
    return succeed;
  }

  private vmptrld(): Outcome {
    const pointer = this.pointer();
    if (typeof pointer !== "bigint") return pointer;
    if (!this.isPointer(pointer)) return this.fail(9, "vmptrld.address");
    if (pointer === this.vmxonPointer) return this.fail(10, "vmptrld.vmxon_pointer");
    const header = this.header(pointer);
    const isShadow = header >>> 31 === 1 && offers(this.guest.platform.cpu, "VMCS_SHADOWING");
    if ((isShadow ? header & 0x7fff_ffff : header) !== this.revision) return this.fail(11, "vmptrld.revision");
    this.current = new Vmcs12(this.processor, pointer);
    return succeed;
  }

  private vmread(): Outcome {
    const { current, guest } = this;
    if (current === undefined) return this.fail(0, "vmx.no_current_vmcs");
    const { operands } = this;
    const encoding = this.encoding(operands);
    if (encoding === undefined) return this.fail(12, "vmread.field");
    const whole = current.read(encoding & ~1);
    const bytes = operandBytes(guest);
    const value = BigInt.asUintN(8 * bytes, (encoding & 1) !== 0 ? whole >> 32n : whole);
    if (operands.inMemory) return this.store(operands, bytes, value);
    guest.setGeneral(operands.first, value);
    return succeed;
  }

  private vmwrite(): Outcome {
    const { current, guest } = this;
    if (current === undefined) return this.fail(0, "vmx.no_current_vmcs");
    const { operands } = this;
    const bytes = operandBytes(guest);
    let value = BigInt.asUintN(8 * bytes, guest.general(operands.first));
    if (operands.inMemory) {
      const read = operands.read(bytes);
      if ("raised" in read) return { kind: "fault", event: read.raised };
      value = read.value;
    }
    const encoding = this.encoding(operands);
    if (encoding === undefined) return this.fail(12, "vmwrite.field");
    const any = (this.capability(capability.misc) & writesAnyField) !== 0n;
    if (kindOfEncoding(encoding) === readOnly && !any) return this.fail(13, "vmwrite.read_only");
    current.write(encoding, value);
    return succeed;
  }

  /** The field that a register names; undefined where the guest has no such field. */
  private encoding(operands: Operands): number | undefined {
    const { guest } = this;
    const named = BigInt.asUintN(8 * operandBytes(guest), guest.general(operands.second));
    if (named > 0x7fffn) return undefined;
    const encoding = Number(named);
    const high = (encoding & 1) !== 0;
    if (slotOf(encoding) < 0 || (high && ((encoding >> 13) & 3) !== 1)) return undefined;
    return offeredFields(guest.platform.cpu).has(encoding & ~1) ? encoding : undefined;
  }

  private invept(): Outcome {
    const { operands } = this;
    const type = this.type(operands);
    const supported = (type === 1n || type === 2n) && this.hasCapability(24n + type);
    if (!supported) return this.fail(28, "invept.type");
    const read = operands.read(16);
    if ("raised" in read) return { kind: "fault", event: read.raised };
    if (type === 1n && !this.isEptPointer(BigInt.asUintN(64, read.value))) return this.fail(28, "invept.eptp");
    this.dropTranslations();
    return succeed;
  }

  private invvpid(): Outcome {
    const { operands } = this;
    const type = this.type(operands);
    if (type > 3n || !this.hasCapability(40n + type)) return this.fail(28, "invvpid.type");
    const read = operands.read(16);
    if ("raised" in read) return { kind: "fault", event: read.raised };
    const low = BigInt.asUintN(64, read.value);
    const address = read.value >> 64n;
    if (low >> 16n !== 0n) return this.fail(28, "invvpid.reserved");
    if (type !== 2n && low === 0n) return this.fail(28, "invvpid.vpid");
    if (type === 0n && BigInt.asUintN(64, BigInt.asIntN(48, address)) !== address)
      return this.fail(28, "invvpid.address");
    this.dropTranslations();
    return succeed;
  }

  private get operands(): Operands {
    return new Operands(this.guest, this.processor);
  }

  private type(operands: Operands): bigint {
    return BigInt.asUintN(8 * operandBytes(this.guest), this.guest.general(operands.second));
  }

  /** Memory type, walk length and reserved bits. */
  isEptPointer(pointer: bigint): boolean {
    const type = pointer & 7n;
    if ((type !== 0n || !this.hasCapability(8n)) && (type !== 6n || !this.hasCapability(14n))) return false;
    const reserved = this.hasCapability(21n) ? 0xf80n : 0xfc0n;
    return ((pointer >> 3n) & 7n) === 3n && (pointer & reserved) === 0n && !this.isTooWide(pointer);
  }

  private pointer(): bigint | Outcome {
    const read = this.operands.read(8);
    return "raised" in read ? { kind: "fault", event: read.raised } : read.value;
  }

  private store(operands: Operands, lengthBytes: number, value: bigint): Outcome {
    const written = operands.write(lengthBytes, value);
    return "raised" in written ? { kind: "fault", event: written.raised } : succeed;
  }

  private isPointer(address: bigint): boolean {
    return (address & 0xfffn) === 0n && !this.isTooWide(address);
  }

  private isTooWide(address: bigint): boolean {
    return address >> BigInt(this.guest.platform.cpu.physicalAddressBits) !== 0n;
  }

  private isMemory(address: bigint): boolean {
    return address + BigInt(slotsOffsetBytes) < BigInt(this.guest.platform.memoryBytes);
  }

  private header(address: bigint): number {
    return this.isMemory(address) ? this.processor.readU32(address) : -1;
  }

  private get revision(): number {
    return Number(this.capability(capability.basic) & 0x7fff_ffffn);
  }

  private hasCapability(bit: bigint): boolean {
    return ((this.capability(capability.eptVpid) >> bit) & 1n) === 1n;
  }

  private capability(msr: number): bigint {
    return offeredMsr(this.guest.platform.cpu, msr) ?? 0n;
  }

  /** Blocking by MOV SS, which VM entry refuses. */
  get isBlockedByMovSs(): boolean {
    return (this.guest.vmx.read(field.interruptibility) & 2n) !== 0n;
  }
}
