// Directed programs: a few lines of assembly each, about one rule, with random selectors, offsets and descriptors.

import type { Random } from "../hostcpu/random.js";
import { room, selector, tables } from "./places.js";
import type { Start } from "./start-states.js";

/** Assembly text, one line an instruction. */
export type Template = (random: Random, start: Start) => string;

export const freeDescriptors = 10;
export const localDescriptors = 6;

/** A selector: null, the kernel's, the case's, of the LDT, beyond the table; with any RPL. */
export function anySelector(random: Random): number {
  const known = [selector.code32, selector.data, selector.code64, selector.data16, selector.tss, selector.tss64, selector.task32, selector.task16, selector.ldt, selector.userCode32, selector.userData, selector.userCode64, selector.userCode16, selector.userData16, selector.room16, selector.stack16Room]; // prettier-ignore
  const table = [0, ...known];
  const pick = random.below(100);
  if (pick < 35) return random.pick(table) | (random.chance(40) ? random.below(4) : 0);
  if (pick < 80) return (selector.free + 8 * random.below(freeDescriptors)) | random.below(4);
  if (pick < 95) return (8 * random.below(localDescriptors)) | 4 | random.below(4);
  return 0x3f8 | random.below(16);
}

const segmentNames = ["es", "ds", "fs", "gs", "ss"] as const;
const offset = (random: Random, { dataOffset }: Start): number => dataOffset + random.below(256) * random.pick([1, 4]);
const accumulator = ({ bits }: Start): string => (bits === 64 ? "rax" : bits === 32 ? "eax" : "ax");
const inCode = (random: Random, start: Start): number =>
  Number(start.rip) +
  (random.chance(85) ? 0x40 + random.below(0x40) : random.pick([0xfff, 0x1_0000, 0xffff, 0x2_0000]));

const isReal = ({ modeName }: Start): boolean => modeName === "real16" || modeName === "bigreal" || modeName === "v86";

/** Real modes take any number for a selector: those of the case's memory. */
function selectorFor(random: Random, start: Start): number {
  return isReal(start) ? random.pick([0x1000, 0x1100, 0x1300, 0x10ff]) : anySelector(random);
}

function flagsFor(random: Random): number {
  let flags = 2 | (random.below(0x10000) & 0x4cd5);
  if (random.chance(30)) flags |= random.below(4) << 12;
  if (random.chance(10)) flags |= 0x100;
  if (random.chance(20)) flags |= 0x200;
  if (random.chance(85)) flags &= ~0x4000;
  return flags;
}

const push = (random: Random, start: Start, value: number): string => {
  if (start.bits === 64) return `mov rax, ${value}\npush rax`;
  return `push ${start.bits === 32 ? "dword" : "word"} ${start.bits === 16 ? value & 0xffff : value}`;
};

function farReturn(random: Random, start: Start, withFlags: boolean): string {
  const lines: string[] = [];
  const outer = random.chance(50);
  if (outer || start.bits === 64) {
    lines.push(push(random, start, selectorFor(random, start)), push(random, start, start.stackPointer - 0x100));
  }
  if (withFlags) {
    const virtual = start.ring === 0 && random.chance(10) ? 0x2_0000 : 0;
    lines.push(push(random, start, flagsFor(random) | virtual | (random.chance(20) ? 0x1_0000 : 0)));
  }
  lines.push(push(random, start, selectorFor(random, start)), push(random, start, inCode(random, start)));
  const suffix = start.bits === 64 ? "o64 " : "";
  if (!withFlags) lines.push(random.chance(70) ? `${suffix}retf` : `${suffix}retf ${random.below(8) * 2}`);
  else lines.push(start.bits === 64 ? "iretq" : start.bits === 32 ? "iretd" : "iret");
  return lines.join("\n");
}

const templates: readonly (readonly [weight: number, template: Template])[] = [
  [
    10,
    (random, start) => {
      const name = random.pick(segmentNames);
      const lines = [`mov ax, ${selectorFor(random, start)}`, `mov ${name}, ax`];
      const at = `[${name}:${random.chance(75) ? offset(random, start) : random.pick([0, 0xfff, 0xffff, 0x1000, 0xffe])}]`;
      if (random.chance(70)) lines.push(random.pick([`mov al, ${at}`, `mov ${at}, al`, `add ${at}, cx`, `mov edx, ${at}`])); // prettier-ignore
      return lines.join("\n");
    },
  ],
  [
    4,
    (random, start) => {
      const name = start.bits === 64 ? random.pick(["fs", "gs"]) : random.pick(segmentNames);
      return `${push(random, start, selectorFor(random, start))}\npop ${name}\nmov al, [${name}:${offset(random, start)}]`;
    },
  ],
  [
    5,
    (random, start) => {
      const at = `[${start.dataOffset + 0x80}]`;
      const size = random.pick(start.bits === 64 ? ["dword", "qword"] : ["word", "dword"]);
      const far = start.bits === 64 && size === "qword" ? 8 : size === "dword" || size === "qword" ? 4 : 2;
      const lines = [
        `mov ${size} ${at}, ${inCode(random, start)}`,
        `mov word [${start.dataOffset + 0x80 + far}], ${selectorFor(random, start)}`,
      ];
      const register = size === "word" ? "cx" : size === "dword" ? "ecx" : "rcx";
      const loads = start.bits === 64 ? ["lfs", "lgs", "lss"] : ["lds", "les", "lfs", "lgs", "lss"];
      const last = random.pick([`jmp far ${size} ${at}`, `call far ${size} ${at}`, `${random.pick(loads)} ${register}, ${at}`]); // prettier-ignore
      return [...lines, last].join("\n");
    },
  ],
  [
    8,
    (random, start) => {
      if (start.bits === 64) return "nop";
      const size = random.chance(80) ? "" : start.bits === 16 ? "dword " : "word ";
      return `${random.pick(["jmp", "call"])} ${size}${selectorFor(random, start)}:${inCode(random, start) & (size === "word " || (start.bits === 16 && size === "") ? 0xffff : 0x7fff_ffff)}`; // prettier-ignore
    },
  ],
  [6, (random, start) => farReturn(random, start, false)],
  [9, (random, start) => farReturn(random, start, true)],
  [
    6,
    (random) =>
      random.pick([
        `int ${random.pick([0x21, 0x30, 0x31, 0x32, 0x33, 0x34, 3, 13, 8, 0x80, 1, 14, 0x3f, 0x40])}`,
        "int3",
        "int1",
        "into",
        "ud2",
      ]),
  ],
  [
    5,
    (random, start) => {
      const register = start.bits === 16 ? "cx" : random.pick(["cx", "ecx"]);
      const name = random.pick([`lar ${register}, ax`, `lsl ${register}, ax`, "verr ax", "verw ax"]);
      return `mov ax, ${anySelector(random)}\n${name}`;
    },
  ],
  [
    3,
    (random, start) =>
      `mov ax, ${anySelector(random)}\n${start.ring === 0 ? random.pick(["lldt ax", "ltr ax"]) : random.pick(["lldt ax", "ltr ax", "lgdt [0]", "clts", "hlt", "invd", "lmsw ax"].filter((text) => start.modeName !== "real16" || text !== "hlt"))}`, // prettier-ignore
  ],
  [
    2,
    (random, start) =>
      random.pick([
        `sldt ${accumulator(start)}`,
        `str ${accumulator(start)}`,
        `smsw ${accumulator(start)}`,
        `sgdt [${start.dataOffset + 32}]`,
        `sidt [${start.dataOffset + 32}]`,
      ]),
  ],
  [
    5,
    (random, start) => {
      const wide = start.bits === 64 ? "pushfq" : start.bits === 32 ? "pushfd" : random.pick(["pushf", "pushfd"]);
      const back = wide.replace("push", "pop");
      return random.pick([
        `${push(random, start, flagsFor(random) | (random.chance(30) ? 0x20_0000 : 0) | (random.chance(20) ? 0x4_0000 : 0))}\n${start.bits === 64 ? "popfq" : start.bits === 32 ? "popfd" : "popf"}\n${wide}`,
        `${wide}\n${back}`,
        "cli",
        "sti\nnop\ncli",
        `mov ax, ${random.below(65_536)}\nsahf\nlahf`,
      ]);
    },
  ],
  [
    4,
    (random, start) => {
      if (start.ring !== 0) return "mov eax, cr0".replace("eax", start.bits === 64 ? "rax" : "eax");
      const wide = start.bits === 64 ? "rax" : "eax";
      const bit = random.pick([1, 2, 3, 4, 5, 16, 18, 29, 30, 6, 31]);
      const bit4 = random.pick([0, 1, 2, 3, 4, 5, 7, 8, 24, 31]);
      const code = random.chance(50) ? `mov ${wide}, cr0\nbtc ${wide}, ${start.bits === 64 || start.cr0 < 0 ? bit : bit === 31 ? 30 : bit}\nmov cr0, ${wide}` : `mov ${wide}, cr4\nbtc ${wide}, ${bit4}\nmov cr4, ${wide}`; // prettier-ignore
      return code;
    },
  ],
  [
    3,
    (random, start) => {
      const wide = start.bits === 64 ? "rax" : "eax";
      const number = random.below(8);
      const value = random.pick([0, 0x400, 0x2400, 0xffff_0ff0, 0x0fff_ffff, 0x3_0402]);
      return random.chance(50) ? `mov ${wide}, dr${number}` : `mov ${wide}, ${value}\nmov dr${number}, ${wide}\nmov rcx, dr${number}`.replace("rcx", start.bits === 64 ? "rcx" : "ecx"); // prettier-ignore
    },
  ],
  [
    4,
    (random, start) => {
      const list = [`enter ${random.below(16)}, ${random.below(6)}`, "leave", `enter ${random.pick([0x700, 0x900, 4])}, ${random.below(40)}`]; // prettier-ignore
      if (start.bits !== 64) list.push("pusha", "popa", "pushad", "popad", `bound eax, [${start.dataOffset + 8}]`, `bound ax, [${start.dataOffset + 8}]`); // prettier-ignore
      return random.pick(list);
    },
  ],
  [
    5,
    (random, start) => {
      const wide = start.bits === 64 ? "r" : "e";
      const lines = [
        `mov ${wide}cx, ${random.below(9)}`,
        `mov ${wide}si, ${offset(random, start)}`,
        `mov ${wide}di, ${offset(random, start)}`,
      ];
      lines.push(random.pick(["cld", "std"]));
      lines.push(random.pick(["rep movsb", "rep movsd", "repe cmpsb", "repne scasb", "rep stosw", "rep lodsd", "movsw", "repe cmpsw", "repne cmpsd"])); // prettier-ignore
      return lines.join("\n");
    },
  ],
  [
    3,
    (random, start) =>
      `mov ax, ss\nmov ss, ax\n${random.pick(["nop", "int3", "ud2", "int 0x21", "mov ss, ax\nnop", `mov al, [${start.dataOffset}]`, "sti\nnop\nnop", "pushf"])}`, // prettier-ignore
  ],
  [
    3,
    (random, start) => {
      const stack = start.bits === 64 ? "rsp" : "esp";
      const value = random.pick(
        start.bits === 16 ? [0, 1, 2, 3, 4, 6, 7, 9, 0xffff, 0x1_0000] : [4, 8, 0xffff, 0x1_0000, 0x1_0002],
      );
      return `mov ${stack}, ${value}\n${random.pick(["push 1", "pop cx", "call $+8", "ret", "int 0x21", "pushf", "leave"])}`;
    },
  ],
  [
    2,
    (random, start) =>
      random.pick(["out 0x80, al", "mov dx, 0x80\nout dx, al", "mov dx, 0x81\nout dx, ax", `mov dx, 0x80\n${start.bits === 64 ? "mov rsi" : "mov esi"}, ${offset(random, start)}\noutsb`]), // prettier-ignore
  ],
  [
    3,
    (random, start) => {
      if (isReal(start)) return "int 0x21";
      const target = random.pick([selector.task32, selector.task16, selector.tss, 0x68, selector.taskDoubleFault]);
      return random.pick([`jmp ${target}:0`, `call ${target}:0`, "int 0x35", "int 0x36"]);
    },
  ],
  [
    4,
    (random, start) => {
      const at = random.pick([0xfff, 0xffd, 0x1fff, 0xffff, 0xfffe, 0x1_0000]);
      const memory = `[${start.bits === 16 && random.chance(70) ? at & 0xffff : at}]`;
      return random.pick([`mov eax, ${memory}`, `mov ${memory}, cx`, `add byte ${memory}, 1`, `cmpxchg ${memory}, edx`, `xadd ${memory}, cx`]); // prettier-ignore
    },
  ],
];

const total = templates.reduce((sum, [weight]) => sum + weight, 0);

/** The text of a directed program for the mode. */
export function directedText(random: Random, start: Start): string {
  let left = random.below(total);
  for (const [weight, template] of templates) {
    left -= weight;
    if (left < 0) return template(random, start);
  }
  return "nop";
}

export { room, tables };
