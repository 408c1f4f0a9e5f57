// Registers that instructions can name, by the manuals' names (upper case).

/** What a register is for an operand: which forms can take it. */
export type RegisterClass = "general" | "segment" | "control" | "debug" | "x87" | "mmx" | "sse" | "avx" | "pointer";

export interface RegisterInfo {
  readonly name: string;
  readonly class: RegisterClass;
  /** The number that encodings carry (0 to 15); AH to BH are 4 to 7. */
  readonly number: number;
  readonly sizeBits: number;
  /** AH, CH, DH, BH: cannot stand beside a REX prefix. */
  readonly highByte: boolean;
  /** SPL, BPL, SIL, DIL: need a REX prefix though their number is below 8. */
  readonly needsRex: boolean;
  /** The 64-bit register of which this is a part; itself for all that have no larger one. */
  readonly whole: string;
}

const lowByte = ["AL", "CL", "DL", "BL", "SPL", "BPL", "SIL", "DIL"];
const highByte = ["AH", "CH", "DH", "BH"];
const word = ["AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"];

/** General registers by number, for each size; numbers 8 to 15 are R8 to R15 with the suffix of their size. */
export const generalRegisterNames: Readonly<Record<8 | 16 | 32 | 64, readonly string[]>> = {
  8: [...lowByte, ...numbered("B")],
  16: [...word, ...numbered("W")],
  32: [...word.map((name) => `E${name}`), ...numbered("D")],
  64: [...word.map((name) => `R${name}`), ...numbered("")],
};

/** 8-bit registers by number where no REX prefix stands. */
export const legacyByteRegisterNames: readonly string[] = [...lowByte.slice(0, 4), ...highByte];

export const segmentRegisterNames: readonly string[] = ["ES", "CS", "SS", "DS", "FS", "GS"];

function numbered(suffix: string): string[] {
  return Array.from({ length: 8 }, (_, i) => `R${i + 8}${suffix}`);
}

function* allRegisters(): Iterable<RegisterInfo> {
  const plain = { highByte: false, needsRex: false };
  for (const size of [8, 16, 32, 64] as const) {
    for (const [number, name] of generalRegisterNames[size].entries()) {
      const whole = generalRegisterNames[64][number] ?? name;
      const needsRex = size === 8 && number >= 4 && number < 8;
      yield { name, class: "general", number, sizeBits: size, highByte: false, needsRex, whole };
    }
  }
  for (const [i, name] of highByte.entries()) {
    const whole = generalRegisterNames[64][i] ?? name;
    yield { name, class: "general", number: i + 4, sizeBits: 8, highByte: true, needsRex: false, whole };
  }
  for (const [number, name] of segmentRegisterNames.entries()) {
    yield { name, class: "segment", number, sizeBits: 16, whole: name, ...plain };
  }
  const family = (prefix: string, kind: RegisterClass, count: number, sizeBits: number): RegisterInfo[] =>
    Array.from({ length: count }, (_, number) => {
      const name = `${prefix}${number}`;
      return { name, class: kind, number, sizeBits, whole: name, ...plain };
    });
  // Control and debug registers take the size of the mode: 64 bits in 64-bit mode, else 32.
  yield* family("CR", "control", 16, 64);
  yield* family("DR", "debug", 16, 64);
  yield* family("ST", "x87", 8, 80);
  yield* family("MM", "mmx", 8, 64);
  yield* family("XMM", "sse", 16, 128);
  yield* family("YMM", "avx", 16, 256);
  yield { name: "RIP", class: "pointer", number: 0, sizeBits: 64, whole: "RIP", ...plain };
  yield { name: "EIP", class: "pointer", number: 0, sizeBits: 32, whole: "RIP", ...plain };
  yield { name: "IP", class: "pointer", number: 0, sizeBits: 16, whole: "RIP", ...plain };
}

/** Every register, in a stable order. */
export const registers: readonly RegisterInfo[] = [...allRegisters()];

const byName = new Map(registers.map((register) => [register.name, register]));

/** Looks up by the manual's name, upper case. */
export const registerByName = (name: string): RegisterInfo | undefined => byName.get(name);
