// The first instructions of a carried image, in the language itself: from what a Multiboot loader leaves (32-bit
// protected mode, flat segments, paging off) to the mode in which the guest starts.

/** Boot code and its data. Names in capitals are constants that `scaffold.ts` puts before the text. */
export const bootSource = `
  dd    0x1badb002, 0, -0x1badb002      ; Multiboot 1 header: magic, flags, checksum
boot:
  cli
  cld
  mov   edi, LOW_MEMORY_START           ; the loader's own data lies there: a test finds zeros
  mov   ecx, (LOW_MEMORY_END - LOW_MEMORY_START) / 4
  xor   eax, eax
  rep stosd
  mov   ebx, [low_table]                ; and what belongs there, which was loaded elsewhere
  mov   edx, [low_count]
.low:
  sub   edx, 1
  jc    .tables
  mov   esi, [ebx + LOW_FROM]
  mov   edi, [ebx + LOW_TO]
  mov   ecx, [ebx + LOW_COUNT]
  rep movsb
  add   ebx, LOW_BYTES
  jmp   .low
.tables:
  lgdt  [gdt_pointer]
  lidt  [idt_pointer]
  lldt  ax
  mov   eax, [start_cr4]
  mov   cr4, eax
  mov   eax, [start_cr3]
  mov   cr3, eax
  mov   eax, [start_efer]               ; 0 where the model has no such register
  test  eax, eax
  jz    .paging
  mov   ecx, 0xc000_0080
  rdmsr
  or    eax, [start_efer]
  wrmsr
.paging:
  mov   eax, [start_cr0]
  mov   cr0, eax
  jmp   far dword [body]          ; into the code segment of the guest's mode

data {
  align 8
  gdt_pointer: dw 0
               dd 0
  idt_pointer: dw 0
               dd 0
  align 8
  low_table:   dd 0
  low_count:   dd 0
  start_cr0:   dd 0
  start_cr3:   dd 0
  start_cr4:   dd 0
  start_efer:  dd 0
  body:        dd 0
               dw 0
}
`;
