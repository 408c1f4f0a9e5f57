// Long test files for the bench: 10 000 instructions that come again and again, and as many that differ, with labels,
// jumps, data, judgements and uses of a macro.

/** A text of a test, by what is in it. */
export const longFiles = { repeated: repeated(), varied: varied() } as const;

/** Ten kinds of instruction one after the other, a thousand times, with 1000 labels. */
function repeated(): string {
  const lines = [
    ...["mov   eax, [rbx + 4*rcx + 8]", "add   eax, 5", "mov   dword [0x9000], 1", "cpuid", "xor   edx, edx"],
    ...["push  rax", "pop   rbx", "lea   rsi, [rdi + 4]", "cmp   eax, ecx", "jne   .next"],
  ];
  const blocks = Array.from({ length: 1000 }, (_, i) => `  block${i}:\n${lines.join("\n")}\n  .next:\n`);
  return `test "long" {\n  on haswell\n  guest long64 {\n${blocks.join("")}    hlt => halt\n  }\n}\n`;
}

/** Lines made of random parts; the same on every machine. */
function varied(): string {
  const { pick, below } = randomOf(1);
  const wide = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"];
  const narrow = ["eax", "ebx", "ecx", "edx", "esi", "edi", "r8d", "r9d"];
  const vector = ["xmm0", "xmm1", "xmm7", "xmm9"];
  const memory = (): string =>
    pick([
      () => `[${pick(wide)}]`,
      () => `[${pick(wide)} + ${below(5000)}]`,
      () => `[${pick(wide)} + ${pick(["1", "2", "4", "8"])}*${pick(wide)} - ${below(100)}]`,
      () => `[table + ${below(64)}]`,
      () => "[rel table]",
    ])();
  const kinds = [
    () => `${pick(["add", "or", "adc", "sub", "xor", "cmp", "mov", "test"])} ${pick(wide)}, ${pick(wide)}`,
    () => `${pick(["add", "or", "and", "sub", "mov"])} ${pick(narrow)}, ${memory()}`,
    () => `${pick(["add", "or", "and", "sub", "mov"])} ${memory()}, ${pick(narrow)}`,
    () => `${pick(["add", "mov", "cmp"])} ${pick(["byte", "word", "dword", "qword"])} ${memory()}, ${below(120)}`,
    () => `${pick(["shl", "shr", "sar", "rol"])} ${pick(narrow)}, ${pick(["1", "cl", "5"])}`,
    () => `${pick(["movzx", "movsx"])} ${pick(narrow)}, ${pick(["al", "bl", "cl", "r8b"])}`,
    () => `${pick(["addps", "mulps", "xorps", "movaps", "paddd", "pxor"])} ${pick(vector)}, ${pick(vector)}`,
    () => `${pick(["inc", "dec", "neg", "not", "mul"])} ${pick(wide)}`,
    () => `${pick(["push", "pop"])} ${pick(wide)}`,
    () => pick(["cpuid", "nop", "cld", "clc", "pushfq", "rdtsc", "lfence"]),
    () => `lea ${pick(wide)}, ${memory()}`,
    () => `cmov${pick(["e", "ne", "l", "g"])} ${pick(wide)}, ${pick(wide)}`,
    () => `imul ${pick(narrow)}, ${pick(narrow)}, ${below(1000)}`,
    () => `mov ${pick(wide)}, 0x${(below(1e9) * 1000).toString(16)}`,
    () => `j${pick(["e", "ne", "mp", "c"])} block${below(1000)}`,
    () => `call block${below(1000)}`,
    () => `pair ${pick(wide)}, ${below(100)}`,
  ];
  const block = (i: number): string => {
    const lines = Array.from({ length: 9 }, () => `    ${pick(kinds)()}\n`);
    return `  block${i}:\n${lines.join("")}    cpuid => any\n`;
  };
  const macro = "macro pair(a: reg, b: imm) {\n  push a\n  add  a, b\n  pop  a\n}\n\n";
  const data = "    data {\n      table: dq 1, 2, 3, 4, 5, 6, 7, 8\n    }\n";
  const blocks = Array.from({ length: 1000 }, (_, i) => block(i)).join("");
  return `${macro}test "varied" {\n  on haswell\n  guest long64 {\n${data}${blocks}    hlt => halt\n  }\n}\n`;
}

/** A linear congruential generator. */
function randomOf(seed: number) {
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >> 8) % limit;
  };
  return { below, pick: <T>(list: readonly T[]): T => list[below(list.length)] as T };
}
