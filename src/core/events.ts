// The event ring: fixed-size records of what happened, in order (architecture, decision 3). The run loop ends before
// the ring can overflow, so nothing is dropped.

import { cpu, EVENT_RECORD_SIZE, EventRecord, EVENTS_BASE, EVENTS_BYTES } from "./layout.generated";

const CAPACITY: u32 = EVENTS_BYTES / EVENT_RECORD_SIZE;
/** More than one trace and what follows it can append. */
const RESERVE: u32 = 128;

/** True when the host must take events before more can happen. */
// @ts-ignore: decorator
@inline
export function eventsFull(): bool {
  return cpu.eventHead - cpu.eventTail > CAPACITY - RESERVE;
}

/** Appends a record with kind, time and context; the caller fills the rest. */
export function appendEvent(kind: u32, rip: u64): EventRecord {
  const record = changetype<EventRecord>(EVENTS_BASE + (cpu.eventHead % CAPACITY) * EVENT_RECORD_SIZE);
  assert(cpu.eventHead - cpu.eventTail < CAPACITY);
  cpu.eventHead++;
  record.kind = <u16>kind;
  record.code = 0;
  record.rule = 0;
  record.rip = rip;
  record.retired = cpu.retired;
  record.context = cpu.context;
  record.a = 0;
  record.b = 0;
  record.c = 0;
  record.d = 0;
  return record;
}
