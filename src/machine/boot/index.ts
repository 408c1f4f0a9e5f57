// boot: from an image that knows nothing of this project to memory and a start state.

export { acpiTables } from "./acpi.js";
export { isElf } from "./elf.js";
export { loadMultiboot, type MultibootModule, type MultibootOptions } from "./multiboot.js";
export { loadRaw, romOf, type RawOptions, type RomImage } from "./raw.js";
export type { RawMode } from "./start-states.js";
export { boot, type BootEnd, type BootOptions, type BootResult } from "./boot.js";
