// Handlers of a carried image, in the language itself: the guest's registers and frame are kept in memory, an exception
// is reported, and the guest goes on where the table of places to resume says. `{si}` stands for the register of that
// name in the width of the code.
//
// The scaffold runs on its own stack and writes below the guest's stack pointer only what the processor writes there
// for an interrupt. It expects no exceptions of its own: one that comes is reported with its address.

import { exceptionByVector } from "../../isa/index.js";

/** After boot: segments, task register, serial port, greeting; then the guest's first instruction. */
const start = `
start:
  mov   eax, STACK_SELECTOR
  mov   ss, eax
  mov   {sp}, scaffold_stack
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
  mov   {si}, stamp
  call  put_number
  call  put_newline
`;

const leave32 = `
  push  2
  popfd
  mov   eax, 0
  mov   ecx, 0
  mov   edx, 0
  mov   ebx, 0
  mov   ebp, 0
  mov   esi, 0
  mov   edi, 0
  mov   esp, [start_stack]
  jmp   far dword [start_address]
`;

const leave64 = `
  push  2
  popfq
  mov   eax, 0
  mov   ecx, 0
  mov   edx, 0
  mov   ebx, 0
  mov   ebp, 0
  mov   esi, 0
  mov   edi, 0
  mov   r8d, 0
  mov   r9d, 0
  mov   r10d, 0
  mov   r11d, 0
  mov   r12d, 0
  mov   r13d, 0
  mov   r14d, 0
  mov   r15d, 0
  mov   rsp, [start_stack]
  jmp   far dword [start_address]       ; into the guest's own code segment, which may be 32-bit
`;

/** One stub for each vector that a gate can lead to: all leave vector and error code on the stack. */
function stubs(): string {
  return Array.from({ length: 32 }, (_, vector) => {
    const dummy = exceptionByVector(vector)?.hasErrorCode === true ? "" : "  push  0\n";
    return `stub_${vector}:\n${dummy}  push  ${vector}\n  jmp   arrive\n`;
  }).join("");
}

/** Code whose interrupt table may be gone calls this instead of raising the points' interrupt: the same frame. */
const called32 = `
called:
  pop   dword [called_from]
  pushfd
  push  CODE_SELECTOR
  push  dword [called_from]
  push  0
  push  dword [point_vector]
  jmp   arrive
`;

const called64 = `
called:
  pop   qword [called_from]
  mov   [called_stack], rsp
  push  STACK_SELECTOR
  push  qword [called_stack]
  pushfq
  push  CODE_SELECTOR
  push  qword [called_from]
  push  0
  push  qword [point_vector]
  jmp   arrive
`;

/** A 32-bit frame holds the stack only where the processor switched it. */
const arrive32 = `
arrive:
  push  ds
  push  es
  push  DATA_SELECTOR
  pop   ds
  push  DATA_SELECTOR
  pop   es
  mov   [saved_ax], eax
  mov   [saved_cx], ecx
  mov   [saved_dx], edx
  mov   [saved_bx], ebx
  mov   [saved_bp], ebp
  mov   [saved_si], esi
  mov   [saved_di], edi
  pop   dword [saved_es]
  pop   dword [saved_ds]
  mov   [saved_fs], fs
  mov   [saved_gs], gs
  mov   eax, [esp]
  mov   [vector], eax
  mov   eax, [esp + 4]
  mov   [error], eax
  mov   eax, [esp + 8]
  mov   [saved_ip], eax
  mov   eax, [esp + 12]
  mov   [saved_cs], eax
  mov   eax, [esp + 16]
  mov   [saved_flags], eax
  test  byte [saved_cs], 3
  jnz   .switched
  lea   eax, [esp + 20]
  mov   [saved_sp], eax
  mov   [saved_ss], ss
  jmp   .kept
.switched:
  mov   eax, [esp + 20]
  mov   [saved_sp], eax
  mov   eax, [esp + 24]
  mov   [saved_ss], eax
.kept:
`;

const arrive64 = `
arrive:
  mov   [saved_ax], rax
  mov   [saved_cx], rcx
  mov   [saved_dx], rdx
  mov   [saved_bx], rbx
  mov   [saved_bp], rbp
  mov   [saved_si], rsi
  mov   [saved_di], rdi
  mov   [saved_r8], r8
  mov   [saved_r9], r9
  mov   [saved_r10], r10
  mov   [saved_r11], r11
  mov   [saved_r12], r12
  mov   [saved_r13], r13
  mov   [saved_r14], r14
  mov   [saved_r15], r15
  mov   [saved_es], es
  mov   [saved_ds], ds
  mov   [saved_fs], fs
  mov   [saved_gs], gs
  mov   rax, [rsp]
  mov   [vector], rax
  mov   rax, [rsp + 8]
  mov   [error], rax
  mov   rax, [rsp + 16]
  mov   [saved_ip], rax
  mov   rax, [rsp + 24]
  mov   [saved_cs], rax
  mov   rax, [rsp + 32]
  mov   [saved_flags], rax
  mov   rax, [rsp + 40]
  mov   [saved_sp], rax
  mov   rax, [rsp + 48]
  mov   [saved_ss], rax
`;

/** What both widths keep beside registers and frame; then points part from exceptions. */
const arrived = `
  mov   {sp}, scaffold_stack
  cld
  mov   eax, [vector]
  cmp   eax, [point_vector]
  je    point
`;

/** An exception of the guest: report it, then go on where the table says, if the line may trap so. */
const trap = `
trap:
  mov   dword [served], no_point
  mov   {ax}, cr2
  mov   [saved_cr2], {ax}
  mov   {ax}, dr6
  mov   [saved_dr6], {ax}
trap_known:
  call  put_exit
  call  put_visits
  mov   al, 't'
  call  put
  mov   {si}, vector
  call  put_number
  mov   {si}, error
  call  put_number
  mov   {si}, saved_cr2
  call  put_number
  mov   {si}, saved_dr6
  call  put_number
  mov   {si}, saved_ip
  call  put_number
  call  put_newline
  cmp   dword [saved_ip + 4], 0
  jne   unexpected
  mov   eax, [saved_ip]
  mov   edx, [vector]
  cmp   edx, 31
  ja    unexpected
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
  cmp   eax, [{di} + RESUME_START]
  jb    .other
  cmp   eax, [{di} + RESUME_END]
  jb    .found
.other:
  add   edi, RESUME_BYTES
  dec   ecx
  jmp   .next
.found:
  mov   ebx, [{di} + RESUME_VECTORS]
  bt    ebx, edx
  jnc   unexpected
  test  byte [{di} + RESUME_FLAGS], RESUME_LEAVES_RING
  jz    .stay
  mov   ebp, [{di} + RESUME_PLACE]
  call  leave_ring
  mov   [saved_ip], ebp
  jmp   return
.stay:
  test  byte [{di} + RESUME_FLAGS], RESUME_GOES_ON
  jz    .place
  cmp   dword [behind], 0               ; the frame already says where a trap goes on
  jne   return
.place:
  mov   eax, [{di} + RESUME_PLACE]
  mov   [saved_ip], eax
  jmp   return

unexpected:
  call  put_finals
  mov   al, 'u'
  call  put
  call  put_newline
  mov   ebx, 1
  jmp   exit
`;

/** Back into the guest: everything is as it was, but for what the scaffold has changed in its copy. */
const return32 = `
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
  mov   eax, [saved_ax]
  mov   ecx, [saved_cx]
  mov   edx, [saved_dx]
  mov   ebx, [saved_bx]
  mov   ebp, [saved_bp]
  mov   esi, [saved_si]
  mov   edi, [saved_di]
  mov   ds, [saved_ds]
  iretd
`;

const return64 = `
return:
  mov   rsp, scaffold_stack
  push  qword [saved_ss]
  push  qword [saved_sp]
  push  qword [saved_flags]
  push  qword [saved_cs]
  push  qword [saved_ip]
  mov   rax, [saved_ax]
  mov   rcx, [saved_cx]
  mov   rdx, [saved_dx]
  mov   rbx, [saved_bx]
  mov   rbp, [saved_bp]
  mov   rsi, [saved_si]
  mov   rdi, [saved_di]
  mov   r8, [saved_r8]
  mov   r9, [saved_r9]
  mov   r10, [saved_r10]
  mov   r11, [saved_r11]
  mov   r12, [saved_r12]
  mov   r13, [saved_r13]
  mov   r14, [saved_r14]
  mov   r15, [saved_r15]
  iretq
`;

/** Where an instruction of the VMM's own raised #GP that stood for one of the guest's, it goes on as that one says. */
const caught = `
arrive:
  cmp   qword [hv.caught], 0
  je    .own
  push  rax
  mov   rax, [hv.caught]
  mov   [rsp + 24], rax
  mov   qword [hv.caught], 0
  pop   rax
  add   rsp, 16
  iretq
.own:
`;

/** The text for an image whose VMM runs the guest: exceptions here are the VMM's own. */
export function monitorHandlerSource(): string {
  const ownArrival = arrive64.replace("\narrive:\n", "\n");
  return [start, "  jmp   monitor\n", stubs(), caught, ownArrival, "  mov   rsp, scaffold_stack\n  cld\n", trap].join(
    "",
  );
}

/** The text for handlers in code of the given width. */
export function handlerSource(bits: 32 | 64): string {
  return bits === 32
    ? [start, leave32, stubs(), called32, arrive32, arrived, trap, return32].join("")
    : [start, leave64, stubs(), called64, arrive64, arrived, trap, return64].join("");
}
