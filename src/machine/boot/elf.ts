// ELF executables for 32-bit x86, as far as loading one takes: Tool Interface Standard, "Executable and Linking
// Format", sections "ELF Header" and "Program Header".

/** A part of an ELF file that goes to memory; what the file does not fill is zero. */
export interface ElfSegment {
  readonly physical: number;
  readonly linear: number;
  readonly bytes: Uint8Array;
  readonly memoryBytes: number;
}

/** The section headers, which Multiboot hands to the kernel. */
export interface ElfSections {
  readonly count: number;
  readonly entryBytes: number;
  readonly namesIndex: number;
  readonly bytes: Uint8Array;
}

export interface Elf32 {
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
  readonly sections: ElfSections | undefined;
}

const elfHeaderBytes = 52;
const programHeaderBytes = 32;
const loadable = 1;
const machine386 = 3;

/** True when the file begins as an ELF file does. */
export function isElf(file: Uint8Array): boolean {
  return file.length >= 4 && file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;
}

/** Reads an ELF32 executable, or says in words why it is none. */
export function readElf32(file: Uint8Array): Elf32 | string {
  if (!isElf(file)) return "it is not an ELF file";
  if (file[4] === 2) return "it is a 64-bit ELF file, and Multiboot takes 32-bit ones: objcopy -O elf32-i386 makes one";
  if (file.length < elfHeaderBytes) return "the ELF header is cut off";
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file[4] !== 1 || file[5] !== 1 || view.getUint16(18, true) !== machine386) {
    return "the ELF file is not for 32-bit x86";
  }
  const at = view.getUint32(28, true);
  const size = view.getUint16(42, true);
  const count = view.getUint16(44, true);
  if (count > 0 && (size < programHeaderBytes || at + count * size > file.length)) {
    return "the ELF program headers lie outside the file";
  }
  const segments: ElfSegment[] = [];
  for (let i = 0; i < count; i++) {
    const header = at + i * size;
    if (view.getUint32(header, true) !== loadable) continue;
    const offset = view.getUint32(header + 4, true);
    const fileBytes = view.getUint32(header + 16, true);
    const memoryBytes = view.getUint32(header + 20, true);
    if (offset + fileBytes > file.length || fileBytes > memoryBytes) return `ELF segment ${i} lies outside the file`;
    segments.push({
      linear: view.getUint32(header + 8, true),
      physical: view.getUint32(header + 12, true),
      bytes: file.subarray(offset, offset + fileBytes),
      memoryBytes,
    });
  }
  if (segments.length === 0) return "the ELF file has no loadable segment";
  return { entry: view.getUint32(24, true), segments, sections: sectionHeaders(file, view) };
}

function sectionHeaders(file: Uint8Array, view: DataView): ElfSections | undefined {
  const at = view.getUint32(32, true);
  const entryBytes = view.getUint16(46, true);
  const count = view.getUint16(48, true);
  if (at === 0 || count === 0 || at + count * entryBytes > file.length) return undefined;
  const bytes = file.subarray(at, at + count * entryBytes);
  return { count, entryBytes, namesIndex: view.getUint16(50, true), bytes };
}
