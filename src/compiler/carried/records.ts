// Records that the scaffold's code and the compiler share: offsets of fields, sizes, numbers of actions. One table; the
// code gets it as constants (`RESUME_START`).

/** Offsets of the fields of each record, its size as BYTES, and the numbers that its fields may hold. */
export const records = {
  /** One for each line that may trap: where it lies, which vectors it may raise, where the guest goes on. */
  RESUME: { START: 0, END: 4, PLACE: 8, FLAGS: 12, VECTORS: 16, BYTES: 20, GOES_ON: 1, LEAVES_RING: 2 },
  /** One for each point: the return address of its interrupt, what to do, and the address of the line it is for. */
  POINT: {
    ...{ RETURN: 0, ACTION: 4, ARGUMENT: 8, LINE: 12, BYTES: 16 },
    ...{
      PROBE: 1,
      RING_ENTER: 2,
      RING_LEAVE: 3,
      DONE: 4,
      ANNOUNCE: 5,
      LAUNCH: 6,
      VMX_RESULT: 7,
      SVM_RESULT: 8,
      VISIT: 9,
    },
  },
  /** One for each expectation: its reads. */
  READS: { FIRST: 0, COUNT: 4, BYTES: 8 },
  /** One read: memory at base + (index << shift) + displacement, an MSR, a control register, or nothing to tell. */
  READ: {
    ...{ KIND: 0, ADDRESS: 4, SIZE: 8, BASE: 12, INDEX: 16, SHIFT: 20, DISPLACEMENT: 24, BYTES: 32 },
    ...{ MEMORY: 0, MSR: 1, NOTHING: 2, CONTROL: 3, OWN: 1, NONE: 0xffff_ffff },
  },
  /** One for each line of a guest that the image's VMM runs: address and length. */
  LENGTH: { ADDRESS: 0, LENGTH: 4, BYTES: 8, OF_SVM: 0x100 },
  /** One for each line: how often it ran since the last report, and room for the register that counts. */
  MARK: { COUNT: 0, KEPT: 8, BYTES: 16 },
  /** One for each segment that boot code copies below 1 MiB: loaders have their own data there. */
  LOW: { FROM: 0, TO: 4, COUNT: 8, BYTES: 12 },
  /** How a guest ended that the image's own VMM ran. */
  OVER: { HALTED: 1, SHUTDOWN: 2, STOPPED: 3, UNKNOWN: 4 },
  /** Memory that loaders use and tests find empty: all that decision 5 gives to a test. */
  LOW_MEMORY: { START: 0x1000, END: 0xa_0000 },
} as const;

/** Declarations of constants in the language, one for each number of `records` and of `more`. */
export function constantDeclarations(more: Readonly<Record<string, number>>): string {
  const fields = Object.entries(records).flatMap(([record, numbers]) =>
    Object.entries(numbers).map(([name, value]): [string, number] => [`${record}_${name}`, value]),
  );
  return [...fields, ...Object.entries(more)].map(([name, value]) => `const ${name} = ${value}\n`).join("");
}
