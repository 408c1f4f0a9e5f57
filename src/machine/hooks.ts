// Hooks: functions of the host program that see accesses to ports and physical memory before devices and RAM do.
// A guest cannot tell a hooked range from any other; pages with a hook are slower, all others run as fast as ever.

/** A place where the run appends a visit, or ends before the instruction. */
export interface MachinePoint {
  /** Physical address. */
  readonly address: bigint;
  readonly action: "visit" | "stop";
  /** What the host calls it; comes back in the event or the stop. */
  readonly index: number;
}

/** A hook that has been set. */
export interface Hook {
  remove(): void;
}

/** Sees IN and OUT of ports `start` to `end`, in the width the processor made them: 1, 2 or 4 bytes. */
export interface PortHook {
  readonly start: number;
  /** Last port of the range. */
  readonly end: number;
  /** The value that the guest gets; undefined lets the device behind answer, or all ones where there is none. */
  readonly onRead?: (port: number, bytes: number) => number | undefined | void;
  /** True: the write is done with; otherwise the device behind gets it too. */
  readonly onWrite?: (port: number, value: number, bytes: number) => boolean | void;
}

/**
 * Sees loads, stores, instruction fetches (byte by byte) and page walks at physical addresses `start` to `end`, below
 * 4 GiB. An access of up to 8 bytes belongs to the range that holds its first byte; longer ones come in parts.
 */
export interface MemoryHook {
  readonly start: number;
  /** Last address of the range. */
  readonly end: number;
  /** The value that the guest gets; undefined lets memory or the device behind answer. */
  readonly onRead?: (address: number, bytes: number) => bigint | undefined | void;
  /** True: the write is done with; otherwise memory or the device behind gets it too. */
  readonly onWrite?: (address: number, value: bigint, bytes: number) => boolean | void;
}
