// Random guests of 32-bit kernel code, from a seed: arithmetic, memory, branches, calls of every kind, sensitive
// instructions, faults with handlers, code that changes itself. A program always ends, and leaves in `state` all that it
// computed.

/** Numbers below a bound, from a seed (xorshift). */
class Dice {
  constructor(private state: number) {}

  below(bound: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % bound;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }
}

const registers = ["eax", "ebx", "ecx", "edx", "esi", "ebp"] as const;
const bytes = ["al", "bl", "cl", "dl", "ah", "ch"] as const;
const binary = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp", "test", "mov"] as const;
const conditions = ["o", "no", "b", "nb", "z", "nz", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"] as const;

/** Instructions that show or change what a VMM keeps from its guest. Each leaves the stack as it was. */
const sensitive: readonly string[] = [
  "cli",
  "sti",
  "pushfd\nxor dword [esp], FLAGS.IF\npopfd",
  "pushfd\npop edx\nand edx, ~(FLAGS.TF | FLAGS.NT)\npush edx\npopfd",
  "sgdt [buffer + 8]",
  "sidt [buffer + 16]",
  "sldt eax",
  "str ebx",
  "smsw eax",
  "mov eax, cr0",
  "mov eax, cr0\nxor eax, CR0.TS\nmov cr0, eax",
  "clts",
  "mov eax, cr3\nmov cr3, eax",
  "invlpg [buffer]",
  "push cs\npop eax",
  "mov ecx, ss",
  "mov eax, 0x10\nmov es, ax\nmov edx, es",
  "mov eax, 0x10\nmov ss, ax",
  "push ds\npop es",
  "mov eax, 0x30\nlar ebx, eax",
  "mov eax, 0x10\nlsl ebx, eax\nsetz cl",
  "mov eax, 0x1b\nverr ax\nsetz dl",
  "mov eax, 0xffe8\nlar ebx, eax\nsetz dh",
  "int 0x40",
  "call 0x30:farther",
  "mov ecx, 0x174\nmov eax, 0x30\nxor edx, edx\nwrmsr\nrdmsr",
  "mov eax, 1\nxor ecx, ecx\ncpuid",
  "pushfd\npush cs\ncall interrupted",
  "ud2",
  "mov ecx, 0\nxor edx, edx\ndiv ecx",
  "wbinvd",
  "mov eax, dr7",
];

class Writer {
  readonly lines: string[] = [];
  private label = 0;

  constructor(private readonly dice: Dice) {}

  emit(...lines: readonly string[]): void {
    this.lines.push(...lines.flatMap((line) => line.split("\n")));
  }

  fresh(): string {
    return `at_${this.label++}`;
  }

  /** Statements of about `size` instructions; `depth` bounds how loops and calls nest. */
  block(size: number, depth: number): void {
    for (let i = 0; i < size; i++) this.statement(depth);
  }

  private statement(depth: number): void {
    const { dice } = this;
    const kind = dice.below(depth > 0 ? 20 : 13);
    if (kind < 8) this.plain();
    else if (kind < 11) this.emit(dice.of(sensitive));
    else if (kind < 12) this.skip();
    else if (kind < 13) this.patch();
    else if (kind < 16) this.loop(depth);
    else if (kind < 18) this.call();
    else this.strings();
  }

  private plain(): void {
    const { dice } = this;
    const a = dice.of(registers);
    const b = dice.of(registers);
    const memory = `[buffer + ${dice.below(60) * 4 + dice.below(2)}]`;
    const value = dice.of([0, 1, 0x7f, 0x80, 0xff, 0x8000_0000, dice.below(0x7fff_ffff)]);
    this.emit(
      dice.of([
        () => `${dice.of(binary)} ${a}, ${b}`,
        () => `${dice.of(binary)} ${a}, ${value}`,
        () => `${dice.of(binary.slice(0, 7))} dword ${memory}, ${a}`,
        () => `mov ${memory}, ${a}`,
        () => `${dice.of(binary.slice(0, 8))} ${a}, ${memory}`,
        () => `${dice.of(["inc", "dec", "neg", "not", "bswap"])} ${a}`,
        () => `${dice.of(["shl", "shr", "sar", "rol", "ror", "rcl"])} ${a}, ${dice.below(32)}`,
        () => `imul ${a}, ${b}`,
        () => `lea ${a}, [${b} + ${a} * 4 + ${dice.below(1000)}]`,
        () => `movzx ${a}, byte ${memory}`,
        () => `set${dice.of(conditions)} ${dice.of(bytes)}`,
        () => `cmov${dice.of(conditions)} ${a}, ${b}`,
        () => `xchg ${a}, ${memory}`,
        () => `push ${a}\npop ${b}`,
        () => `push dword ${memory}\npop dword ${memory}`,
        () => `bt ${a}, ${dice.below(32)}`,
        () => `mov ${dice.of(bytes)}, ${dice.below(256)}`,
      ])(),
    );
  }

  private skip(): void {
    const over = this.fresh();
    this.emit(`j${this.dice.of(conditions)} ${over}`);
    for (let i = 0; i < 3; i++) this.plain();
    this.emit(`${over}:`);
  }

  /** Code that writes the immediate of an instruction ahead. */
  private patch(): void {
    const there = this.fresh();
    this.emit(`mov byte [${there} + 1], ${this.dice.below(256)}`);
    if (this.dice.below(2) === 0) this.plain();
    this.emit(`${there}:`, `mov al, 0x11`);
  }

  private loop(depth: number): void {
    const again = this.fresh();
    const rounds = 1 + this.dice.below(4);
    // LOOP reaches 128 bytes: not around another loop.
    const byLoop = this.dice.below(2) === 0 && depth === 1;
    this.emit(`push edi`, `mov edi, ${rounds}`, `${again}:`);
    this.block(2 + this.dice.below(3), depth - 1);
    if (byLoop) this.emit(`mov ecx, edi`, `dec edi`, `loop ${again}`, `pop edi`);
    else this.emit(`dec edi`, `jnz ${again}`, `pop edi`);
  }

  private call(): void {
    const routine = this.dice.of(["first", "second"]);
    this.emit(
      this.dice.of([
        `call ${routine}`,
        `mov eax, ${routine}\ncall eax`,
        `call [table + ${this.dice.below(2) * 4}]`,
        `push dword 5\ncall popping`,
        `mov ecx, ${this.dice.below(2)}\ncall [table + ecx * 4]`,
        // Returns that lead elsewhere than behind the last call.
        `call skipping\ninc eax`,
        `call ${routine}_by_return`,
        `mov ecx, ${this.dice.below(9)}\ncall deep`,
        // The code behind the call is another one when the call returns.
        `call changing\nmov al, 0x11`,
        this.calledNext(),
      ]),
    );
  }

  /** A call whose return address is data. */
  private calledNext(): string {
    const next = this.fresh();
    return `call ${next}\n${next}:\npop edx`;
  }

  private strings(): void {
    this.emit(
      "push edi",
      "push ds",
      "pop es",
      "mov esi, buffer",
      `mov edi, buffer + ${this.dice.below(100)}`,
      `mov ecx, ${this.dice.below(20)}`,
      this.dice.of(["rep movsb", "rep stosd", "rep movsd", "repe cmpsb"]),
      "pop edi",
    );
  }
}

/** Source of a test with one guest. */
export function randomGuest(seed: number, vmm: string): string {
  const dice = new Dice(seed * 0x9e37_79b1 + 0x1234_5678);
  const writer = new Writer(dice);
  for (const register of registers) writer.emit(`mov ${register}, ${dice.below(0x7fff_ffff)}`);
  writer.emit("xor edi, edi");
  writer.block(25 + dice.below(25), 2);
  writer.emit(
    "pushfd",
    "pop dword [state]",
    ...registers.map((register, i) => `mov [state + ${4 + i * 4}], ${register}`),
    "mov [state + 32], esp",
    "done",
  );
  writer.emit("first:");
  for (let i = 0; i < 3; i++) writer.block(1, 0);
  writer.emit("ret", "second:");
  writer.block(2, 0);
  writer.emit("call first", "ret", "popping:", "mov eax, [esp + 4]", "ret 4");
  writer.emit("skipping:", "inc dword [esp]", "ret");
  writer.emit("first_by_return:", "push dword first", "ret", "second_by_return:", "push dword second", "ret");
  writer.emit("deep:", "dec ecx", "js .out", "add ebx, ecx", "call deep", "rol ebx, 1", ".out:", "ret");
  writer.emit("changing:", "mov eax, [esp]", "xor byte [eax + 1], 3", "ret");
  writer.emit("farther:", "inc dword [buffer]", "retf", "interrupted:", "iretd");
  const handlers = [
    "handler #UD {\nadd dword [esp], 2\niretd\n}",
    "handler #DE {\nadd dword [esp], 2\niretd\n}",
    "handler #NM {\nclts\niretd\n}",
    "handler 0x40 {\nadd dword [buffer + 4], 3\niretd\n}",
  ];
  const data = "data {\nstate: zero 64\ntable: dd first, second\nbuffer: zero 512\n}";
  const body = [...writer.lines, ...handlers, data].join("\n");
  return `test "seed ${seed}" {\non pentium4\nvmm ${vmm}\nguest prot32 {\n${body}\nexpect dword [state] != 0\n}\n}\n`;
}
