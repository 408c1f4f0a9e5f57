// What a carried image does beside the guest's own code, in the language itself: handlers with the table of places to
// resume, probes, ring switches, and the report on the serial port. docs/carried.md describes the report.
//
// One text serves 32- and 64-bit guests: only the stubs' common entry, the way back and the width of pointers differ.
// The scaffold runs on its own stack, keeps every register of the guest, and writes below the guest's stack pointer
// only what the processor writes there for an interrupt.

import { exceptionByVector } from "../../isa/index.js";

/** Registers in the order in which the scaffold keeps them, by their names without size. */
export const savedRegisters = {
  32: ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"],
  64: ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "8", "9", "10", "11", "12", "13", "14", "15"],
} as const;

/** The text for a guest whose handlers run in code of the given width. */
export function bodySource(bits: 32 | 64): string {
  return [entryText(bits), stubs(), commonEntry(bits), trapText(bits), pointText(bits), wayBack(bits), reportText(bits)]
    .concat(dataText(bits))
    .join("\n");
}

/** Full register name for the width. */
const full = (bits: 32 | 64, name: string): string => `${bits === 64 ? "r" : "e"}${name}`;
const general = (bits: 32 | 64): readonly string[] =>
  savedRegisters[bits].filter((name) => name !== "sp").map((name) => full(bits, name));

/** After boot: segments, task register, serial port, greeting; then the guest's first instruction. */
function entryText(bits: 32 | 64): string {
  const sp = full(bits, "sp");
  return `
start:
  mov   eax, STACK_SELECTOR
  mov   ss, eax
  mov   ${sp}, scaffold_stack
  mov   eax, DATA_SELECTOR
  mov   ds, eax
  mov   es, eax
  mov   fs, eax
  mov   gs, eax
  mov   eax, TSS_SELECTOR
  ltr   ax
  call  open_port
  mov   al, 's'
  call  put
  mov   ${full(bits, "si")}, stamp
  call  put_number
  call  put_newline
  push  2
  popf${bits === 64 ? "q" : "d"}
${general(bits)
  .map((name) => `  mov   ${name}, 0`)
  .join("\n")}
  mov   ${sp}, [start_stack]
  jmp   ${bits === 64 ? "qword" : "dword"} [start_address]
`;
}

/** One stub for each vector that a gate can lead to: all leave vector and error code on the stack. */
function stubs(): string {
  return Array.from({ length: 32 }, (_, vector) => {
    const dummy = exceptionByVector(vector)?.hasErrorCode === true ? "" : "  push  0\n";
    return `stub_${vector}:\n${dummy}  push  ${vector}\n  jmp   arrive\n`;
  }).join("");
}

/** Keeps the guest's registers and frame in memory, and leaves the guest's stack. */
function commonEntry(bits: 32 | 64): string {
  const [ax, si, sp] = [full(bits, "ax"), full(bits, "si"), full(bits, "sp")];
  const word = bits / 8;
  const segments = `
  push  ds
  push  es
  push  DATA_SELECTOR
  pop   ds
  push  DATA_SELECTOR
  pop   es`;
  const keep = savedRegisters[bits]
    .map((name, i) => (name === "sp" ? "" : `  mov   [saved + ${i * 8}], ${full(bits, name)}\n`))
    .join("");
  const frame = (name: string, index: number): string =>
    `  mov   ${ax}, [${si} + ${index * word}]\n  mov   [${name}], ${ax}\n`;
  // A 32-bit frame holds the stack only where it was switched.
  const ownStack = `
  test  byte [saved_cs], 3
  jnz   .switched
  lea   eax, [esi + ${5 * word}]
  mov   [saved_sp], eax
  mov   [saved_ss], ss
  jmp   .kept
.switched:`;
  return `
arrive:${bits === 32 ? segments : ""}
${keep}${bits === 32 ? "  pop   dword [saved_es]\n  pop   dword [saved_ds]" : "  mov   [saved_es], es\n  mov   [saved_ds], ds"}
  mov   [saved_fs], fs
  mov   [saved_gs], gs
  mov   ${si}, ${sp}
${frame("vector", 0)}${frame("error", 1)}${frame("saved_ip", 2)}${frame("saved_cs", 3)}${frame("saved_flags", 4)}
${bits === 32 ? ownStack : ""}
${frame("saved_sp", 5)}${frame("saved_ss", 6)}
.kept:
  mov   ${ax}, cr0
  mov   [saved_cr0], ${ax}
  mov   ${ax}, cr2
  mov   [saved_cr2], ${ax}
  mov   ${ax}, cr3
  mov   [saved_cr3], ${ax}
  mov   ${ax}, cr4
  mov   [saved_cr4], ${ax}
  mov   ${ax}, dr6
  mov   [saved_dr6], ${ax}
  mov   ${sp}, scaffold_stack
  cld
  mov   eax, [vector]
  cmp   eax, [point_vector]
  je    point
`;
}

/** An exception of the guest: report it, then go on where the table says, if the line may trap so. */
function trapText(bits: 32 | 64): string {
  const [si, di] = [full(bits, "si"), full(bits, "di")];
  const report = ["vector", "error", "saved_cr2", "saved_dr6", "saved_ip"];
  return `
trap:
  call  put_visits
  mov   al, 't'
  call  put
${report.map((name) => `  mov   ${si}, ${name}\n  call  put_number\n`).join("")}
  call  put_newline
  cmp   dword [saved_ip + 4], 0
  jne   unexpected
  mov   eax, [saved_ip]
  mov   edx, [vector]
  mov   dword [behind], 0
  cmp   edx, 3                          ; #BP and #OF follow their instruction
  je    .behind
  cmp   edx, 4
  je    .behind
  cmp   edx, 1                          ; so does #DB for a single step (DR6.BS)
  jne   .search
  test  dword [saved_dr6], 0x4000
  jz    .search
.behind:
  dec   eax
  mov   dword [behind], 1
.search:
  mov   edi, [resume_table]
  mov   ecx, [resume_count]
.next:
  test  ecx, ecx
  jz    unexpected
  cmp   eax, [${di} + RESUME_START]
  jb    .other
  cmp   eax, [${di} + RESUME_END]
  jb    .found
.other:
  add   edi, RESUME_BYTES
  dec   ecx
  jmp   .next
.found:
  mov   ebx, [${di} + RESUME_VECTORS]
  bt    ebx, edx
  jnc   unexpected
  test  byte [${di} + RESUME_FLAGS], RESUME_LEAVES_RING
  jz    .stay
  mov   ebp, [${di} + RESUME_PLACE]
  call  leave_ring
  mov   [saved_ip], ebp
  jmp   return
.stay:
  test  byte [${di} + RESUME_FLAGS], RESUME_GOES_ON
  jz    .place
  cmp   dword [behind], 0               ; the frame already says where a trap goes on
  jne   return
.place:
  mov   eax, [${di} + RESUME_PLACE]
  mov   [saved_ip], eax
  jmp   return

unexpected:
  mov   al, 'u'
  call  put
  call  put_newline
  mov   ebx, 1
  jmp   exit
`;
}

/** The interrupt that stands for a point: which one it is, its return address tells. */
function pointText(bits: 32 | 64): string {
  const [si, di] = [full(bits, "si"), full(bits, "di")];
  return `
point:
  mov   eax, [saved_ip]
  mov   edi, [point_table]
  mov   ecx, [point_count]
.next:
  test  ecx, ecx
  jz    .foreign
  cmp   eax, [${di} + POINT_RETURN]
  je    .found
  add   edi, POINT_BYTES
  dec   ecx
  jmp   .next
.foreign:
  test  byte [saved_cs], 3              ; the guest's own INT: from ring 3 its gate would not be open
  jz    trap
  imul  eax, [vector], 8
  or    eax, 2
  mov   [error], eax
  mov   dword [vector], 13
  sub   dword [saved_ip], 2
  jmp   trap
.found:
  mov   eax, [${di} + POINT_ACTION]
  cmp   eax, POINT_PROBE
  je    .probe
  cmp   eax, POINT_RING_ENTER
  je    .enter
  cmp   eax, POINT_RING_LEAVE
  je    .leave
  jmp   done
.probe:
  mov   ebp, [${di} + POINT_ARGUMENT]
  call  put_visits
  mov   al, 'p'
  call  put_values
  call  put_place
  jmp   return
.enter:
  test  byte [saved_cs], 3
  jnz   return
  mov   ${si}, saved
  mov   ${di}, before
  mov   ecx, SAVED_BYTES / 4
  rep movsd
  mov   dword [entered], 1
  mov   dword [saved_cs], RING3_CODE_SELECTOR
  mov   dword [saved_ss], RING3_STACK_SELECTOR
  mov   eax, [ring3_stack]
  mov   [saved_sp], eax
  and   dword [saved_flags], ~0x3000    ; IOPL 0
  jmp   return
.leave:
  cmp   dword [entered], 0
  je    return
  call  leave_ring
  jmp   return

leave_ring:
  mov   eax, [saved_ip]
  mov   ${si}, before
  mov   ${di}, saved
  mov   ecx, SAVED_BYTES / 4
  rep movsd
  mov   [saved_ip], eax
  mov   dword [entered], 0
  ret
`;
}

/** Back into the guest with everything as it was, but for what the scaffold has changed in its copy. */
function wayBack(bits: 32 | 64): string {
  const restore = savedRegisters[bits]
    .map((name, i) => (name === "sp" ? "" : `  mov   ${full(bits, name)}, [saved + ${i * 8}]\n`))
    .join("");
  if (bits === 64) {
    const frame = ["saved_ss", "saved_sp", "saved_flags", "saved_cs", "saved_ip"];
    return `
return:
  mov   rsp, scaffold_stack
${frame.map((name) => `  push  qword [${name}]\n`).join("")}${restore}  iretq
`;
  }
  return `
return:
  mov   esp, scaffold_stack
  test  byte [saved_cs], 3
  jnz   .outer
  mov   edx, [saved_sp]                 ; to the same ring IRET takes three words, from the guest's own stack
  sub   edx, 12
  mov   eax, [saved_ip]
  mov   [edx], eax
  mov   eax, [saved_cs]
  mov   [edx + 4], eax
  mov   eax, [saved_flags]
  mov   [edx + 8], eax
  mov   [far_stack], edx
  mov   eax, [saved_ss]
  mov   [far_stack + 4], ax
  lss   esp, [far_stack]
  jmp   .registers
.outer:
  push  dword [saved_ss]
  push  dword [saved_sp]
  push  dword [saved_flags]
  push  dword [saved_cs]
  push  dword [saved_ip]
.registers:
  mov   gs, [saved_gs]
  mov   fs, [saved_fs]
  mov   es, [saved_es]
${restore}  mov   ds, [saved_ds]
  iretd
`;
}

/** The report: text lines, and the end of the run. */
function reportText(bits: 32 | 64): string {
  const [ax, bx, si, di] = [full(bits, "ax"), full(bits, "bx"), full(bits, "si"), full(bits, "di")];
  return `
done:
  call  put_visits
  mov   ebp, [finals_first]
.final:
  cmp   ebp, [finals_end]
  jae   .end
  mov   al, 'f'
  call  put_values
  call  put_newline
  inc   ebp
  jmp   .final
.end:
  mov   al, 'd'
  call  put
  call  put_place
  mov   ebx, 0
exit:
  mov   eax, ebx                        ; isa-debug-exit
  mov   edx, 0xf4
  out   dx, eax
  mov   ${si}, shutdown                 ; Bochs
  mov   ecx, 8
  mov   edx, 0x8900
.letter:
  lodsb
  out   dx, al
  loop  .letter
.stop:
  cli
  hlt
  jmp   .stop

put_visits:                             ; every line that ran since the last report, with how often
  mov   ebx, 0
  mov   edi, [marks]
.next:
  cmp   ebx, [mark_count]
  jae   .all
  cmp   dword [${di}], 0
  je    .other
  mov   al, 'v'
  call  put
  mov   [number], ebx
  mov   dword [number + 4], 0
  mov   ${si}, number
  call  put_number
  mov   ${si}, ${di}
  call  put_number
  call  put_newline
  mov   dword [${di}], 0
.other:
  add   edi, MARK_BYTES
  inc   ebx
  jmp   .next
.all:
  ret

put_values:                             ; al, then expectation ebp and the values of its reads
  call  put
  mov   [number], ebp
  mov   dword [number + 4], 0
  mov   ${si}, number
  call  put_number
  mov   ebx, ebp
  shl   ebx, 3
  add   ebx, [read_lists]
  mov   edi, [${bx}]
  mov   ecx, [${bx} + 4]
.next:
  test  ecx, ecx
  jz    .all
  push  ${full(bits, "cx")}
  call  take_value
  mov   ${si}, number
  call  put_number
  pop   ${full(bits, "cx")}
  add   edi, READ_BYTES
  dec   ecx
  jmp   .next
.all:
  ret

take_value:                             ; the value of the read at edi goes to number
  mov   dword [number], 0
  mov   dword [number + 4], 0
  mov   eax, [${di} + READ_KIND]
  cmp   eax, READ_NOTHING
  je    .taken
  cmp   eax, READ_MSR
  je    .msr
  mov   ${si}, [${di} + READ_DISPLACEMENT]
  mov   eax, [${di} + READ_BASE]
  cmp   eax, READ_NONE
  je    .index
  add   ${si}, [saved + ${ax}]
.index:
  mov   eax, [${di} + READ_INDEX]
  cmp   eax, READ_NONE
  je    .copy
  mov   ${bx}, [saved + ${ax}]
  mov   ecx, [${di} + READ_SHIFT]
  shl   ${bx}, cl
  add   ${si}, ${bx}
.copy:
  mov   ecx, [${di} + READ_SIZE]
  push  ${di}
  mov   ${di}, number
  rep movsb
  pop   ${di}
.taken:
  ret
.msr:
  mov   ecx, [${di} + READ_ADDRESS]
  rdmsr
  mov   [number], eax
  mov   [number + 4], edx
  ret

put_number:                             ; a space and the eight bytes at si as digits, highest first
  mov   al, ' '
  call  put
  mov   ecx, 7
.byte:
  mov   al, [${si} + ${full(bits, "cx")}]
  shr   al, 4
  call  put_digit
  mov   al, [${si} + ${full(bits, "cx")}]
  and   al, 15
  call  put_digit
  dec   ecx
  jns   .byte
  ret

put_place:                              ; where the point stands that is being served, and the end of the line
  mov   al, '@'
  call  put
  mov   ${si}, saved_ip
  call  put_number
  jmp   put_newline

put_digit:
  add   al, '0'
  cmp   al, '9'
  jbe   put
  add   al, 'a' - '9' - 1
  jmp   put

put_newline:
  mov   al, 10
put:                                    ; al to the port, once it is ready; keeps all but eax and edx
  mov   ah, al
  mov   edx, COM1 + 5
.busy:
  in    al, dx
  test  al, 0x20
  jz    .busy
  mov   al, ah
  mov   edx, COM1
  out   dx, al
  ret

open_port:                              ; 115200 bits a second, 8N1, no interrupts
  mov   edx, COM1 + 1
  mov   al, 0
  out   dx, al
  mov   edx, COM1 + 3
  mov   al, 0x80
  out   dx, al
  mov   edx, COM1
  mov   al, 1
  out   dx, al
  mov   edx, COM1 + 1
  mov   al, 0
  out   dx, al
  mov   edx, COM1 + 3
  mov   al, 3
  out   dx, al
  ret
`;
}

/** Variables. Those of the first group are filled in for each program. */
function dataText(bits: 32 | 64): string {
  const given = ["start_address", "start_stack", "stamp", "point_vector", "ring3_stack"];
  const tables = ["resume_table", "resume_count", "point_table", "point_count", "read_lists", "marks", "mark_count"];
  const variables = [
    ...given,
    ...tables,
    "finals_first",
    "finals_end",
    "vector",
    "error",
    "behind",
    "entered",
    "number",
  ];
  const kept = ["saved_flags", "saved_ip", "saved_cs", "saved_ss", "saved_ds", "saved_es", "saved_fs", "saved_gs"];
  const controls = ["saved_cr0", "saved_cr2", "saved_cr3", "saved_cr4", "saved_dr6"];
  const registers = savedRegisters[bits].map((name) => (name === "sp" ? "saved_sp: dq 0" : "dq 0"));
  return `
data {
  align 8
${variables.map((name) => `  ${name}: dq 0\n`).join("")}
  far_stack: dd 0
             dw 0
  shutdown:  db "Shutdown"
  align 8
  saved:
${registers.map((line) => `  ${line}\n`).join("")}${kept.map((name) => `  ${name}: dq 0\n`).join("")}
${controls.map((name) => `  ${name}: dq 0\n`).join("")}
  before: zero SAVED_BYTES
  align 16
  zero 0x400
  scaffold_stack:
}
`;
}
