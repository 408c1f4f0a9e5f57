// Registers by their lower-case names, as instruction values carry them.

import { registers, type RegisterInfo } from "../isa/index.js";

const byLowerName: ReadonlyMap<string, RegisterInfo> = new Map(registers.map((r) => [r.name.toLowerCase(), r]));

/** The register of a lower-case name. */
export const findRegister = (name: string): RegisterInfo | undefined => byLowerName.get(name);

/** True for the lower-case name of a register. */
export const isRegister = (word: string): boolean => byLowerName.has(word);
