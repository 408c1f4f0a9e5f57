// What the core asks of its host side: devices and the interrupt controller (src/machine/bus.ts).

// @ts-ignore: decorator
@external("host", "portRead")
export declare function portRead(port: u32, bytes: u32): u32;
// @ts-ignore: decorator
@external("host", "portWrite")
export declare function portWrite(port: u32, value: u32, bytes: u32): void;
// @ts-ignore: decorator
@external("host", "memoryRead")
export declare function memoryRead(address: u32, bytes: u32): u64;
// @ts-ignore: decorator
@external("host", "memoryWrite")
export declare function memoryWrite(address: u32, value: u64, bytes: u32): void;
/** The vector that the interrupt controller gives for the INTR it asserts. */
// @ts-ignore: decorator
@external("host", "acknowledgeInterrupt")
export declare function acknowledgeInterrupt(): u32;
/** The virtual time `cpu.deadline` has come. */
// @ts-ignore: decorator
@external("host", "deadlineReached")
export declare function deadlineReached(): void;
/** CR8 or IA32_APIC_BASE changed: the interrupt controller looks again at what to tell the processor. */
// @ts-ignore: decorator
@external("host", "processorChanged")
export declare function processorChanged(): void;
/** 1 when a device has this MSR; its value is then in `cpu.stopDetail`. */
// @ts-ignore: decorator
@external("host", "msrRead")
export declare function msrRead(address: u32): u32;
/** 1 when a device has this MSR and took the value. */
// @ts-ignore: decorator
@external("host", "msrWrite")
export declare function msrWrite(address: u32, value: u64): u32;
/** 1 when a device may still end a halt. */
// @ts-ignore: decorator
@external("host", "mayWake")
export declare function mayWake(): u32;
