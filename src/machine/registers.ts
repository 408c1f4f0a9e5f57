// Names of registers as the host side speaks them, and where the state block keeps them.

import { cpuLayout as cpu } from "./layout.generated.js";

/** A register's place; registers that are not plain fields are handled by name in machine.ts. */
export interface RegisterPlace {
  readonly offset: number;
  readonly bytes: number;
  /** True when other state follows from it, so that the core must recompute before it runs on. */
  readonly derived: boolean;
}

const general = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"] as const; // prettier-ignore

const plain = (field: { readonly offset: number; readonly bytes: number }): RegisterPlace => ({
  ...field,
  derived: false,
});
const derived = (field: { readonly offset: number; readonly bytes: number }): RegisterPlace => ({
  ...field,
  derived: true,
});

/** Every register that `Machine.register` and `setRegister` know, but RFLAGS. */
export const registerPlaces: ReadonlyMap<string, RegisterPlace> = new Map([
  ...general.map((name, index) => [name, plain({ offset: index * 8, bytes: 8 })] as const),
  ["RIP", plain(cpu.rip)],
  ["CR0", derived(cpu.cr0)],
  ["CR2", plain(cpu.cr2)],
  ["CR3", derived(cpu.cr3)],
  ["CR4", derived(cpu.cr4)],
  ["CR8", plain(cpu.cr8)],
  ["EFER", derived(cpu.efer)],
  ["XCR0", plain(cpu.xcr0)],
  ["PKRU", derived(cpu.pkru)],
  ["DR0", derived(cpu.dr0)],
  ["DR1", derived(cpu.dr1)],
  ["DR2", derived(cpu.dr2)],
  ["DR3", derived(cpu.dr3)],
  ["DR6", plain(cpu.dr6)],
  ["DR7", derived(cpu.dr7)],
  ["GDTR.BASE", plain(cpu.gdtrBase)],
  ["GDTR.LIMIT", plain(cpu.gdtrLimit)],
  ["IDTR.BASE", plain(cpu.idtrBase)],
  ["IDTR.LIMIT", plain(cpu.idtrLimit)],
]);

/** Segment registers by name, with their index in the segments region. */
export const segmentIndices = { ES: 0, CS: 1, SS: 2, DS: 3, FS: 4, GS: 5, LDTR: 7, TR: 8 } as const;

export type SegmentRegister = keyof typeof segmentIndices;
