// What a device is to the machine: ranges of ports and of physical memory, and functions behind them.

/** Inclusive range of ports or physical addresses. */
export type AddressRange = readonly [start: number, end: number];

/** A device on the machine's bus. Accesses come in the width the processor made them: 1, 2 or 4 bytes (8 in memory). */
export interface Device {
  readonly name: string;
  readonly ports?: readonly AddressRange[];
  /** Physical ranges; whole 4 KiB pages are taken from RAM where they overlap it. */
  readonly memory?: readonly AddressRange[];
  readPort?(port: number, bytes: number): number;
  writePort?(port: number, value: number, bytes: number): void;
  readMemory?(address: number, bytes: number): bigint;
  writeMemory?(address: number, value: bigint, bytes: number): void;
  /** MSRs that the device holds, of those that the core asks for: 800H to 8FFH in x2APIC mode and IA32_TSC_DEADLINE. */
  readonly msrs?: readonly AddressRange[];
  /** Undefined where RDMSR raises #GP(0). */
  readMsr?(address: number): bigint | undefined;
  /** False where WRMSR raises #GP(0). */
  writeMsr?(address: number, value: bigint): boolean;
  /** CR8 or IA32_APIC_BASE changed. */
  processorChanged?(): void;
  /** State as after power-on. */
  reset(): void;
  /** State for a snapshot, as plain data; and that state put back. A device without them cannot be in a snapshot. */
  save?(): unknown;
  restore?(state: unknown): void;
  /** An interrupt controller: the vector that the processor takes when it accepts INTR. */
  acknowledge?(): number;
  /** Called when the virtual time that the device asked for through `Machine.setDeadline` has come. */
  elapsed?(retired: bigint): void;
  /** What the processor must not skip over while halted: true when this device may still end a halt. */
  mayWake?(): boolean;
}
