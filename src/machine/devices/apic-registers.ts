// The registers of a local APIC as a table: where they are, what may be done with them, and which bits exist (Intel SDM
// vol. 3A, "The Local APIC Block Diagram", "x2APIC Register Address Space").

/** Register offsets in the page; the x2APIC MSR is 800H plus the offset divided by 16. */
export const register = {
  id: 0x20,
  version: 0x30,
  taskPriority: 0x80,
  arbitrationPriority: 0x90,
  processorPriority: 0xa0,
  endOfInterrupt: 0xb0,
  remoteRead: 0xc0,
  logicalDestination: 0xd0,
  destinationFormat: 0xe0,
  spurious: 0xf0,
  inService: 0x100,
  triggerMode: 0x180,
  request: 0x200,
  errorStatus: 0x280,
  commandLow: 0x300,
  commandHigh: 0x310,
  timer: 0x320,
  thermal: 0x330,
  performance: 0x340,
  lint0: 0x350,
  lint1: 0x360,
  error: 0x370,
  initialCount: 0x380,
  currentCount: 0x390,
  divide: 0x3e0,
  selfInterrupt: 0x3f0,
} as const;

/** Version 14H, six local vector table entries, no suppression of EOI messages. */
export const versionValue = 0x0005_0014;
export const masked = 0x1_0000;
export const softwareEnable = 0x100;
export const delivery = { fixed: 0, lowest: 1, smi: 2, nmi: 4, init: 5, startUp: 6, external: 7 } as const;
export const errors = { sendIllegalVector: 0x20, receivedIllegalVector: 0x40, illegalRegister: 0x80 } as const;

/** Writable bits of the local vector table entries. */
export const localVectors: ReadonlyMap<number, number> = new Map([
  [register.timer, 0x7_00ff],
  [register.thermal, 0x1_07ff],
  [register.performance, 0x1_07ff],
  [register.lint0, 0x1_a7ff],
  [register.lint1, 0x1_a7ff],
  [register.error, 0x1_00ff],
]);

/** Status bits of an entry that software reads: delivery status, remote IRR. */
const entryStatus = 0x5000;

/** Bits that WRMSR may set in x2APIC mode; any other one is #GP, and so is a register that is not here. */
const writableBits: ReadonlyMap<number, number> = new Map<number, number>([
  [register.taskPriority, 0xff],
  [register.endOfInterrupt, 0],
  [register.spurious, 0x3ff],
  [register.errorStatus, 0],
  [register.commandLow, 0xc_cfff],
  [register.initialCount, 0xffff_ffff],
  [register.divide, 0xb],
  [register.selfInterrupt, 0xff],
  ...[...localVectors].map(([offset, bits]) => [offset, bits | entryStatus] as const),
]);

const readOnly: readonly number[] = [
  register.id,
  register.version,
  register.processorPriority,
  register.logicalDestination,
  register.currentCount,
];
/** Registers of the page that x2APIC mode does not have. */
const pageOnly: readonly number[] = [
  register.arbitrationPriority,
  register.remoteRead,
  register.destinationFormat,
  register.commandHigh,
];
/** Of x2APIC mode: written and never read. */
const writeOnly: readonly number[] = [register.endOfInterrupt, register.selfInterrupt];

const isVectorSet = (offset: number): boolean => offset >= register.inService && offset < register.errorStatus;

/** True where the page has a register. Any other access is an error for the error status register. */
export function isRegister(offset: number): boolean {
  if (offset === register.selfInterrupt) return false;
  return isVectorSet(offset) || writableBits.has(offset) || readOnly.includes(offset) || pageOnly.includes(offset);
}

/** True where RDMSR reads a register in x2APIC mode. */
export function readableMsr(offset: number): boolean {
  if (writeOnly.includes(offset)) return false;
  return isVectorSet(offset) || writableBits.has(offset) || readOnly.includes(offset);
}

/** True where WRMSR may write the low half of a register with that value in x2APIC mode. */
export function writableMsr(offset: number, low: number): boolean {
  const bits = writableBits.get(offset);
  return bits !== undefined && (low & ~bits) === 0;
}
