// A guest that has exited, as the handlers see it, whatever the vendor: registers, paging, the instruction that
// exited, and how an event gets into the guest. VMX keeps these in the VMCS, SVM in the VMCB.

import type { Platform } from "../../isa/index.js";
import type { ExitClass, SegmentState } from "../../program/index.js";
import type { GuestState } from "../bundled.js";
import type { EntryReader } from "../guest-paging.js";
import type { VmmPolicy } from "../policy.js";
import type { SegmentRegisterName } from "../virtualization.js";
import type { PortDevices } from "./devices.js";

/** Interruption types, as both vendors encode them. */
export const eventTypes = {
  externalInterrupt: 0,
  nmi: 2,
  hardwareException: 3,
  softwareInterrupt: 4,
  softwareException: 6,
} as const;

/** An event that goes into the guest with the next entry. */
export interface InjectedEvent {
  readonly vector: number;
  /** One of `eventTypes`; a hardware exception when absent. */
  readonly type?: number;
  readonly errorCode?: number;
  /** For #PF: what the guest finds in CR2. */
  readonly cr2?: bigint;
}

/** Numbers of general registers in encodings and exit information. */
export const gpr = { rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7 } as const;

/** What virtualization means for the control registers of a guest that has it. */
export interface CrRules {
  /** Bits of CR4 that the guest may set besides those of every guest. */
  readonly cr4Offered: bigint;
  /** Likewise of EFER. */
  readonly eferOffered?: bigint;
  /** Bits that its VMX operation keeps at 1. */
  readonly cr0Required: bigint;
  readonly cr4Required: bigint;
}

export interface ExitedGuest extends GuestState {
  readonly crRules?: CrRules;
  readonly platform: Platform;
  readonly policy: VmmPolicy;
  readonly devices: PortDevices;
  general(number: number): bigint;
  setGeneral(number: number, value: bigint): void;
  /** The low half of a general register. */
  general32(number: number): number;
  /** 32-bit results clear the upper half, as writes to 32-bit registers do. */
  setGeneral32(number: number, value: number): void;
  segment(name: SegmentRegisterName): SegmentState;
  setRegister(name: string, value: bigint): void;
  /** RDMSR and WRMSR by the processor's rules; undefined and false where they raise #GP(0). */
  rdmsr(address: number): bigint | undefined;
  wrmsr(address: number, value: bigint): boolean;
  /** Entries of the guest's tables. */
  readonly pageEntries: EntryReader;
  /** Bytes of guest-physical memory. */
  readPhysical(address: bigint, lengthBytes: number): Uint8Array;
  writePhysical(address: bigint, bytes: Uint8Array): void;
  /** RIP of the instruction that exited. */
  readonly rip: bigint;
  /** Width of the code segment that the guest runs in. */
  readonly codeBits: 16 | 32 | 64;
  /**
   * Completes the instruction that exited: RIP moves past it, shadows of STI and MOV SS end, a single step is due.
   * Its length is needed only where the exit does not tell it.
   */
  advance(lengthBytes?: number): void;
  inject(event: InjectedEvent): void;
  /** Writes the class of the exit into the stream of events. */
  classify(exitClass: ExitClass): void;
  /** Tells that the VMM has done the instruction's work. */
  emulated(subject: string): void;
}
