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
/** 1 when a device may still end a halt. */
// @ts-ignore: decorator
@external("host", "mayWake")
export declare function mayWake(): u32;
