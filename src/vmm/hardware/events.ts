// How an injected event is named in the stream, and what two events that meet become.

import { cr0Bits, exceptionByVector } from "../../isa/index.js";
import type { FieldValue } from "../../program/index.js";
import { eventTypes, type InjectedEvent } from "./exited-guest.js";

const doubleFault = 8;

/** Subject and fields of an `inject` event. */
export function injectedSubject(event: InjectedEvent): {
  readonly subject: string;
  readonly fields: Readonly<Record<string, FieldValue>>;
} {
  const vector = { vector: BigInt(event.vector) };
  if (event.type === eventTypes.nmi) return { subject: "NMI", fields: {} };
  if (event.type === eventTypes.externalInterrupt) return { subject: "INTR", fields: vector };
  const exception = exceptionByVector(event.vector);
  if (event.type === eventTypes.softwareInterrupt || !exception) return { subject: "INT", fields: vector };
  return {
    subject: exception.name,
    fields: {
      ...(event.errorCode !== undefined && { code: BigInt(event.errorCode) }),
      ...(event.cr2 !== undefined && { address: event.cr2 }),
    },
  };
}

/**
 * What an exception becomes that arose while `first` was being delivered: itself, a double fault, or undefined for a
 * triple fault. Intel SDM vol. 3A, "Interrupt 8—Double Fault Exception (#DF)".
 */
export function combine(first: InjectedEvent, second: InjectedEvent): InjectedEvent | undefined {
  const severity = (event: InjectedEvent): string =>
    (event.type ?? eventTypes.hardwareException) === eventTypes.hardwareException
      ? (exceptionByVector(event.vector)?.severity ?? "benign")
      : "benign";
  const a = severity(first);
  const b = severity(second);
  if (a === "double-fault" && b !== "benign") return undefined;
  const both = (a === "contributory" && b === "contributory") || (a === "page-fault" && b !== "benign");
  return both ? { vector: doubleFault, errorCode: 0 } : second;
}

/**
 * An event as a guest takes it that may be in real mode, where no exception has an error code. Intel SDM vol. 3C,
 * "Checks on VM-Entry Control Fields": an injected one has an error code only if CR0.PE is 1.
 */
export function withoutCodeInRealMode(event: InjectedEvent, cr0: bigint): InjectedEvent {
  if ((cr0 & cr0Bits.PE) !== 0n || event.errorCode === undefined) return event;
  const { errorCode: _, ...rest } = event;
  return rest;
}

const debug = 1;
const machineCheck = 18;

/**
 * Whether an event is a fault, whose frame has RF set: the processor sets it for its own, and an injected one saves
 * RFLAGS as the VMM has left it. Intel SDM vol. 3A, "Instruction-Breakpoint Exception Condition".
 */
export function savesResumeFlag({ vector, type }: InjectedEvent): boolean {
  const isHardware = (type ?? eventTypes.hardwareException) === eventTypes.hardwareException;
  return isHardware && vector !== debug && vector !== doubleFault && vector !== machineCheck;
}
