// Writes guests that work on their own page tables: what they read and which faults they meet (CR2, error code) goes into
// a log.

/** How a mode's tables look: entries of so many bytes, and how far down they lie. */
export interface Mode {
  readonly name: "paged32" | "pae32" | "long64";
  readonly entryBytes: 4 | 8;
  /** Levels above the page table. */
  readonly above: number;
  /** Bytes of a page of the level above the page table. */
  readonly largeBytes: number;
}

export const modes = {
  paged32: { name: "paged32", entryBytes: 4, above: 1, largeBytes: 0x40_0000 },
  pae32: { name: "pae32", entryBytes: 8, above: 2, largeBytes: 0x20_0000 },
  long64: { name: "long64", entryBytes: 8, above: 3, largeBytes: 0x20_0000 },
} as const satisfies Record<string, Mode>;

export const entry = { P: 1, RW: 2, US: 4, A: 0x20, D: 0x40, PS: 0x80, G: 0x100 } as const;
export const user = entry.P | entry.RW | entry.US;

/** Pages of plain memory that the guests use, and tables of their own. */
export const page = { a: 0x9000, b: 0xa000, c: 0xb000, code: 0xc000, tables: 0x3_0000 } as const;

/** Writes a guest, line by line. The page table of the first megabytes is at EDI, the directory above it at ESI. */
export class Guest {
  private readonly lines: string[] = [];
  private count = 0;

  constructor(readonly mode: Mode) {
    const width = mode.name === "long64" ? "r" : "e";
    const walk = (register: string, levels: number): void => {
      this.do(`mov ${width}${register}, cr3`);
      for (let i = 0; i < levels; i++) this.do(`mov e${register}, [e${register}]`, `and e${register}, ~0xfff`);
    };
    walk("di", mode.above);
    walk("si", mode.above - 1);
    // The processor has used the descriptor table then, and a VMM may have.
    this.do("mov ebx, log", "mov eax, 0x23", "mov ds, eax");
  }

  do(...lines: readonly string[]): this {
    this.lines.push(...lines);
    return this;
  }

  /** What may fault: then the guest goes on behind it. */
  may(...lines: readonly string[]): this {
    const over = `over_${this.count++}`;
    return this.do(`mov ebp, ${over}`, ...lines, `${over}:`);
  }

  /** In ring 3. */
  inRing3(build: (guest: Guest) => void): this {
    this.do("ring 3 {");
    build(this);
    return this.do("}");
  }

  /** Notes a register. */
  note(register = "eax"): this {
    return this.do(`mov [ebx], ${register}`, "add ebx, 4");
  }

  read(address: number): this {
    return this.may(`mov eax, [${address}]`, `mov [ebx], eax`, `add ebx, 4`);
  }

  write(address: number, value: number): this {
    return this.may(`mov dword [${address}], ${value}`);
  }

  /** The page table's entry of a page becomes this. */
  map(linear: number, to: number, bits: number): this {
    const at = (linear >> 12) * this.mode.entryBytes;
    return this.do(`mov dword [edi + ${at}], ${to | bits}`);
  }

  /** Bits of the high half of the entry. */
  high(linear: number, bits: number): this {
    return this.do(`mov dword [edi + ${(linear >> 12) * 8 + 4}], 0x${(bits >>> 0).toString(16)}`);
  }

  forget(linear: number): this {
    return this.do(`invlpg [${linear}]`);
  }

  loadCr3(): this {
    const wide = this.mode.name === "long64" ? "rax" : "eax";
    return this.do(`mov ${wide}, cr3`, `mov cr3, ${wide}`);
  }

  control(register: "cr0" | "cr4", change: string): this {
    const wide = this.mode.name === "long64" ? "rax" : "eax";
    return this.do(`mov ${wide}, ${register}`, `${change.replace("REG", wide)}`, `mov ${register}, ${wide}`);
  }

  get text(): string {
    return this.lines.join("\n");
  }
}

/** Notes CR2 and the error code, and goes on at EBP. */
const handler32 = `
handler #PF {
  push eax
  mov eax, cr2
  mov [ebx], eax
  mov eax, [esp + 4]
  mov [ebx + 4], eax
  add ebx, 8
  pop eax
  add esp, 4
  mov [esp], ebp
  iretd
}
handler #GP {
  add esp, 4
  mov dword [ebx], 0x6e006e00
  add ebx, 4
  mov [esp], ebp
  iretd
}`;
const handler64 = `
handler #PF {
  push rax
  mov rax, cr2
  mov [rbx], eax
  mov eax, [rsp + 8]
  mov [rbx + 4], eax
  add ebx, 8
  pop rax
  add rsp, 8
  mov [rsp], rbp
  iretq
}`;

/** The source of a guest in a test on a platform, for any VMM. */
export function sourceOf(guest: Guest, platform: string): (vmm: string) => string {
  const wide = guest.mode.name === "long64";
  // In 64-bit mode addresses are 64 bits wide, and the stack's slots too.
  const body = wide
    ? guest.text.replace(/\b(push|pop) e(ax|bx|cx|dx|si|di)\b/g, "$1 r$2").replace(/\[e(ax|bx|cx|dx|si|di)\b/g, "[r$1")
    : guest.text;
  const test = [
    `guest ${guest.mode.name} {`,
    "map 0x9000..0x2ffff rw",
    body,
    "expect dword [log] != 1",
    "done",
    wide ? handler64 : handler32,
    "data {\nlog: zero 0x1000\nkept: dd 0\n}",
    "}",
  ].join("\n");
  return (vmm) => `test "guest" {\non ${platform}\nvmm ${vmm}\n${test}\n}\n`;
}
