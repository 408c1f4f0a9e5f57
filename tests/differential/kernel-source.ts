// The kernel in the project's own assembler: enters a case in its mode, catches the exception that ends it, and sends
// registers and changed memory over the serial port. It uses nothing of the machine but COM1 and the interrupt masks.

import { field, kernel, modes, recordAt, recordBytes, room, selector, tables } from "./places.js";
import { caseBytes, changesLimit, mark, msrBytes, patchBytes } from "./places.js";

const names32 = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"] as const;
const names64 = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const; // prettier-ignore

const hex = (value: number): string => `0x${value.toString(16)}`;
/** Address of a field of the current case. */
const at = (offset: number): string => hex(kernel.current + offset);
const record = (name: Parameters<typeof recordAt>[0]): string => hex(recordAt(name));
const registerField = (i: number): string => at(field.registers + i * 8);
const frameField = (i: number): string => at(field.frame + i * 8);
const [rip, cs, flags, sp, ss] = [0, 1, 2, 3, 4].map(frameField) as [string, string, string, string, string];
const [es, ds, fs, gs] = [0, 1, 2, 3].map((i) => at(field.segments + i * 4)) as [string, string, string, string];
const without = (name: string) => (_: string, i: number) => names32[i] !== name;

const loadRegisters32 = names32.map((name, i) => [name, i] as const)
  .filter(([name]) => name !== "esp")
  .map(([name, i]) => `  mov ${name}, [cs:${registerField(i)}]`)
  .join("\n"); // prettier-ignore

/** Sets up memory and control registers of each case, and goes to where its mode is entered. */
export const mainSource = (count: number): string => `
  cli
  lgdt  [${hex(kernel.gdt - 8)}]
  jmp   ${hex(selector.code32)}:.flat
.flat:
  mov   ax, ${hex(selector.data)}
  mov   ds, ax
  mov   es, ax
  mov   ss, ax
  mov   fs, ax
  mov   gs, ax
  mov   esp, ${hex(kernel.stackTop)}
  cld
  mov   al, 0xff                        ; no interrupt line is wanted
  out   0x21, al
  out   0xa1, al
  mov   dx, 0x3fb                       ; 115200 bits a second, eight data bits
  mov   al, 0x83
  out   dx, al
  mov   dx, 0x3f8
  mov   al, 1
  out   dx, al
  inc   edx
  mov   al, 0
  out   dx, al
  mov   dx, 0x3fb
  mov   al, 3
  out   dx, al
  mov   dword [${hex(kernel.number)}], 0
  mov   dword [${hex(kernel.next)}], .next
.next:
  mov   eax, [${hex(kernel.number)}]
  cmp   eax, ${count}
  jb    .run
  mov   dx, 0x3fd
.drain:
  in    al, dx
  test  al, 0x40
  jz    .drain
  mov   dx, 0x8900                      ; Bochs: the word ends the run
  mov   esi, farewell
  mov   ecx, 8
  rep outsb
  mov   eax, 0
  out   0xf4, eax
.halt:
  hlt
  jmp   .halt
.run:
  xor   edi, edi                        ; the vectors of real mode, and 16-bit code
  mov   esi, ${hex(kernel.lowCopy)}
  mov   ecx, ${hex(kernel.lowEnd / 4)}
  rep movsd
  imul  eax, eax, ${caseBytes}
  lea   esi, [eax + ${hex(kernel.cases)}]
  mov   edi, ${hex(kernel.current)}
  mov   ecx, ${caseBytes / 4}
  rep movsd
  mov   esi, ${hex(kernel.templates)}
  mov   edi, ${hex(tables.start)}
  mov   ecx, ${(tables.end - tables.start) / 4}
  rep movsd
  mov   edi, ${hex(room.start)}
  mov   ecx, ${(room.compared - room.start) / 4}
  rep movsd
  xor   eax, eax
  mov   ecx, ${(room.end - room.compared) / 4}
  rep stosd
  mov   ecx, [${at(field.patchCount)}]
  mov   esi, ${at(field.patches)}
.patch:
  sub   ecx, 1
  jb    .patched
  mov   edi, [esi]
  mov   ebx, [esi + 4]                  ; length
  lea   ebp, [esi + 8]
  add   esi, ${patchBytes}
.byte:
  mov   al, [ebp]
  mov   [edi], al
  inc   ebp
  inc   edi
  dec   ebx
  jnz   .byte
  jmp   .patch
.patched:
  mov   edi, ${hex(kernel.shadow)}
  mov   esi, ${hex(tables.start)}
  mov   ecx, ${(tables.end - tables.start) / 4}
  rep movsd
  mov   esi, ${hex(room.start)}
  mov   ecx, ${(room.compared - room.start) / 4}
  rep movsd
  mov   edi, ${hex(kernel.record)}
  mov   ecx, ${recordBytes / 4}
  xor   eax, eax
  rep stosd

  mov   cr2, eax
  mov   eax, 0xffff0ff0
  mov   dr6, eax
  mov   eax, [${at(field.dr0)}]
  mov   dr0, eax
  mov   eax, [${at(field.dr0 + 4)}]
  mov   dr1, eax
  mov   eax, [${at(field.dr0 + 8)}]
  mov   dr2, eax
  mov   eax, [${at(field.dr0 + 12)}]
  mov   dr3, eax
  mov   eax, [${at(field.cr4)}]
  mov   cr4, eax
  mov   eax, [${at(field.cr3)}]
  mov   cr3, eax
  mov   ecx, 0xc0000080
  mov   eax, [${at(field.efer)}]
  xor   edx, edx
  wrmsr
  mov   esi, ${at(field.msrs)}
  mov   edi, [${at(field.msrCount)}]
.msr:
  sub   edi, 1
  jb    .written
  mov   ecx, [esi]
  mov   eax, [esi + 4]
  mov   edx, [esi + 8]
  add   esi, ${msrBytes}
  wrmsr
  jmp   .msr
.written:
  lgdt  [live_gdt]
  cmp   byte [${at(field.mode)}], ${modes.long}
  je    .long
  cmp   byte [${at(field.mode)}], ${modes.real}
  je    .real
  cmp   byte [${at(field.mode)}], ${modes.bigReal}
  je    .big
  lidt  [live_idt32]
  mov   ax, ${hex(selector.ldt)}
  lldt  ax
  mov   ax, ${hex(selector.tss)}
  ltr   ax
  mov   eax, [${at(field.cr0)}]
  mov   cr0, eax
  jmp   .paged
.paged:
  mov   eax, [${at(field.dr7)}]
  mov   dr7, eax
  test  dword [${flags}], 0x20000
  jnz   .virtual
  mov   ax, [${es}]
  mov   es, ax
  mov   ax, [${fs}]
  mov   fs, ax
  mov   ax, [${gs}]
  mov   gs, ax
  mov   bx, [${ds}]
  test  byte [${cs}], 3
  jnz   .outer
  mov   ax, [${ss}]
  mov   esp, [${sp}]
  mov   ss, ax
  jmp   .frame
.outer:
  push  dword [${ss}]
  push  dword [${sp}]
.frame:
  push  dword [${flags}]
  push  dword [${cs}]
  push  dword [${rip}]
  mov   ds, bx
${loadRegisters32}
  iretd
.virtual:
  push  dword [${gs}]
  push  dword [${fs}]
  push  dword [${ds}]
  push  dword [${es}]
  push  dword [${ss}]
  push  dword [${sp}]
  mov   bx, ${hex(selector.data)}
  jmp   .frame
.big:
  mov   ax, ${hex(selector.data)}
  jmp   .leave
.real:
  mov   ax, ${hex(selector.data16)}
.leave:
  lidt  [real_idt]
  mov   ds, ax
  mov   es, ax
  mov   fs, ax
  mov   gs, ax
  mov   ss, ax
  jmp   ${hex(selector.code16)}:${hex(kernel.enter16)}
.long:
  lidt  [live_idt64]
  mov   ax, ${hex(selector.ldt)}
  lldt  ax
  mov   eax, [${at(field.cr0)}]
  mov   cr0, eax
  jmp   ${hex(selector.code64)}:${hex(kernel.enter64)}

data {
farewell:    db "Shutdown"
live_gdt:    dw ${tables.gdtBytes - 1}
             dd ${hex(tables.gdt)}
live_idt32:  dw 511
             dd ${hex(tables.idt32)}
live_idt64:  dw 1023
             dd ${hex(tables.idt64)}
real_idt:    dw 0x3ff
             dd 0
}
`;

/** From protected mode to real mode: CS is 16-bit and flat, the data segments have what limits the case wants. */
export const enter16Source = `
  mov   eax, cr0
  and   al, 0xfe
  mov   cr0, eax
  jmp   0:.real
.real:
  xor   ax, ax
  mov   ds, ax
  mov   eax, [${at(field.dr7)}]
  mov   dr7, eax
  mov   ax, [${ss}]
  mov   ss, ax
  mov   esp, [${sp}]
  push  dword [${flags}]
  push  dword [${cs}]
  push  dword [${rip}]
  mov   es, [${es}]
  mov   fs, [${fs}]
  mov   gs, [${gs}]
  mov   ds, [${ds}]
${loadRegisters32}
  iretd
`;

/** An exception in real mode. The stack holds the vector, IP, CS and FLAGS. */
export const common16Source = `
${names32.map((name, i) => [name, i] as const).filter(([name]) => name !== "esp").map(([name]) => `  mov [cs:${record(`r${name.slice(1)}` as "rax")}], ${name}`).join("\n")}
  mov   [cs:${record("ds")}], ds
  mov   [cs:${record("es")}], es
  mov   [cs:${record("fs")}], fs
  mov   [cs:${record("gs")}], gs
  mov   [cs:${record("ss")}], ss
  pop   word [cs:${record("vector")}]
  pop   word [cs:${record("rip")}]
  pop   word [cs:${record("cs")}]
  pop   word [cs:${record("rflags")}]
  mov   [cs:${record("rsp")}], esp
  cli
  lgdt  [cs:pointer]
  mov   eax, cr0
  mov   [cs:${record("cr0")}], eax
  or    al, 1
  and   eax, 0x7fffffff
  mov   cr0, eax
  jmp   dword ${hex(selector.code32)}:${hex(kernel.finish)}
data {
pointer:     dw ${0xff}
             dd ${hex(kernel.gdt)}
}
`; // prettier-ignore

/** An exception in a legacy mode: the stub has pushed an error code where there was none, and the vector. */
export const common32Source = `
  push  ds
  push  eax
  mov   eax, ${hex(selector.data)}
  mov   ds, ax
${names32.filter(without("esp")).filter((name) => name !== "eax").map((name) => `  mov [${record(`r${name.slice(1)}` as "rax")}], ${name}`).join("\n")}
  pop   dword [${record("rax")}]
  pop   dword [${record("ds")}]
  mov   [${record("es")}], es
  mov   [${record("fs")}], fs
  mov   [${record("gs")}], gs
  pop   dword [${record("vector")}]
  pop   dword [${record("error")}]
  pop   dword [${record("rip")}]
  pop   dword [${record("cs")}]
  pop   dword [${record("rflags")}]
  test  dword [${record("rflags")}], 0x20000
  jnz   .virtual
  test  byte [${record("cs")}], 3
  jnz   .outer
  mov   [${record("rsp")}], esp
  mov   [${record("ss")}], ss
  jmp   .go
.outer:
  pop   dword [${record("rsp")}]
  pop   dword [${record("ss")}]
  jmp   .go
.virtual:
  pop   dword [${record("rsp")}]
  pop   dword [${record("ss")}]
  pop   dword [${record("es")}]
  pop   dword [${record("ds")}]
  pop   dword [${record("fs")}]
  pop   dword [${record("gs")}]
.go:
  mov   eax, cr0
  mov   [${record("cr0")}], eax
  jmp   ${hex(kernel.finish)}
`; // prettier-ignore

/** The task of double faults: the state before lies in the TSS that it links to. */
export const doubleFaultSource = `
  mov   dword [${record("vector")}], 8
  pop   dword [${record("error")}]
  mov   eax, cr0
  mov   [${record("cr0")}], eax
  jmp   ${hex(kernel.finish)}
`;

/** 64-bit code, entered from compatibility mode. */
export const enter64Source = `
  mov   ax, ${hex(selector.tss64)}
  ltr   ax
  mov   eax, [${at(field.dr7)}]
  mov   dr7, rax
  mov   rsp, ${hex(kernel.stackTop)}
  push  qword [${ss}]
  push  qword [${sp}]
  push  qword [${flags}]
  push  qword [${cs}]
  push  qword [${rip}]
  mov   es, [${es}]
  mov   ds, [${ds}]
  mov   fs, [${fs}]
  mov   gs, [${gs}]
${names64.map((name, i) => [name, i] as const).filter(([name]) => name !== "rsp").map(([name, i]) => `  mov ${name}, [${registerField(i)}]`).join("\n")}
  iretq
`; // prettier-ignore

export const common64Source = `
${names64.filter((name) => name !== "rsp").map((name) => `  mov [${record(name)}], ${name}`).join("\n")}
  mov   [${record("ds")}], ds
  mov   [${record("es")}], es
  mov   [${record("fs")}], fs
  mov   [${record("gs")}], gs
  pop   qword [${record("vector")}]
  pop   qword [${record("error")}]
  pop   qword [${record("rip")}]
  pop   qword [${record("cs")}]
  pop   qword [${record("rflags")}]
  pop   qword [${record("rsp")}]
  pop   qword [${record("ss")}]
  mov   rax, cr0
  mov   [${record("cr0")}], rax
  mov   rax, cr2                        ; its upper half, which 32-bit code does not see
  mov   [${record("cr2")}], rax
  push  ${hex(selector.code32)}
  push  ${hex(kernel.finish)}
  o64 retf
`; // prettier-ignore

/** 32-bit code at the end of a case: the machine as it was, the record and the changes sent, the next case. */
export const finishSource = `
  mov   eax, ${hex(selector.data)}
  mov   ds, ax
  mov   es, ax
  mov   ss, ax
  mov   esp, ${hex(kernel.stackTop)}
  mov   eax, cr2
  mov   [${record("cr2")}], eax
  mov   eax, cr4
  mov   [${record("cr4")}], eax
  btr   eax, 17                         ; with PCIDs paging stays on
  mov   cr4, eax
  mov   eax, dr6
  mov   [${record("dr6")}], eax
  str   [${record("tr")}]
  sldt  [${record("ldtr")}]
  mov   eax, 0x11
  mov   cr0, eax
  jmp   .unpaged
.unpaged:
  mov   ecx, 0xc0000080
  xor   eax, eax
  xor   edx, edx
  wrmsr
  mov   cr4, eax
  mov   eax, 0x400
  mov   dr7, eax
  lgdt  [${hex(kernel.gdt - 8)}]
  jmp   ${hex(selector.code32)}:.mine
.mine:
  mov   eax, ${hex(selector.data)}
  mov   ds, ax
  mov   es, ax
  mov   ss, ax
  mov   fs, ax
  mov   gs, ax
  push  0
  popfd
  cld
  mov   al, ${hex(mark)}
  call  .send
  mov   esi, ${hex(kernel.number)}
  mov   ecx, 4
  call  .block
  mov   esi, ${hex(kernel.record)}
  mov   ecx, ${recordBytes}
  call  .block
  mov   ebp, ${changesLimit}
  mov   edi, ${hex(kernel.shadow)}
  mov   esi, ${hex(tables.start)}
  mov   ecx, ${(tables.end - tables.start) / 4}
  call  .changes
  mov   esi, ${hex(room.start)}
  mov   ecx, ${(room.compared - room.start) / 4}
  call  .changes
  xor   eax, eax
  mov   [.pair], eax
  mov   esi, .pair
  mov   ecx, 4
  call  .block
  inc   dword [${hex(kernel.number)}]
  jmp   dword [${hex(kernel.next)}]

.changes:
  cmp   eax, eax                        ; nothing left to compare counts as equal
  repe cmpsd
  je    .same
  mov   eax, [esi - 4]
  mov   [.pair + 4], eax
  lea   eax, [esi - 4]
  mov   [.pair], eax
  dec   ebp
  js    .same
  push  esi
  push  ecx
  mov   esi, .pair
  mov   ecx, 8
  call  .block
  pop   ecx
  pop   esi
  jmp   .changes
.same:
  ret
.block:
  lodsb
  call  .send
  loop  .block
  ret
.send:
  mov   ah, al
  mov   dx, 0x3fd
.wait:
  in    al, dx
  test  al, 0x20
  jz    .wait
  mov   dx, 0x3f8
  mov   al, ah
  out   dx, al
  ret
  align 4
.pair:
  dd    0, 0
`;
