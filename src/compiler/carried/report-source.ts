// The report of a carried image, in the language itself: text lines on the serial port, and the end of the run.
// docs/carried.md describes the lines. `{si}` stands for the register of that name in the width of the code.

export const reportSource = `
done:
  call  put_visits
  call  put_finals
  mov   al, 'd'
  call  put
  call  put_place
  mov   ebx, 0
exit:
  call  drain_port
  mov   eax, ebx                        ; isa-debug-exit
  mov   edx, 0xf4
  out   dx, eax
  mov   {si}, shutdown                 ; Bochs
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

put_finals:                             ; the expectations at the end of the test
  mov   ebp, [finals_first]
.next:
  cmp   ebp, [finals_end]
  jae   .all
  mov   al, 'f'
  call  put_values
  call  put_newline
  inc   ebp
  jmp   .next
.all:
  ret

put_visits:                             ; every line that ran since the last report, with how often
  mov   ebx, 0
  mov   edi, [marks]
.next:
  cmp   ebx, [mark_count]
  jae   .all
  cmp   dword [{di}], 0
  je    .other
  mov   al, 'v'
  call  put
  mov   [number], ebx
  mov   dword [number + 4], 0
  mov   {si}, number
  call  put_number
  mov   {si}, {di}
  call  put_number
  call  put_newline
  mov   dword [{di}], 0
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
  mov   {si}, number
  call  put_number
  mov   ebx, ebp
  shl   ebx, 3
  add   ebx, [read_lists]
  mov   edi, [{bx}]
  mov   ecx, [{bx} + 4]
.next:
  test  ecx, ecx
  jz    .all
  push  {cx}
  call  take_value
  mov   {si}, number
  call  put_number
  pop   {cx}
  add   edi, READ_BYTES
  dec   ecx
  jmp   .next
.all:
  ret

{take_value}
put_short:                              ; a number of 32 bits at si
  mov   eax, [{si}]
  mov   [number], eax
  mov   dword [number + 4], 0
  mov   {si}, number
put_number:                             ; a space and the eight bytes at si as digits, highest first
  mov   al, ' '
  call  put
  mov   ecx, 7
.byte:
  mov   al, [{si} + {cx}]
  shr   al, 4
  call  put_digit
  mov   al, [{si} + {cx}]
  and   al, 15
  call  put_digit
  dec   ecx
  jns   .byte
  ret

put_place:                              ; where the point stands that is being served, and the end of the line
  mov   al, '@'
  call  put
  mov   {si}, saved_ip
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

drain_port:                             ; until the last bit has left the port
  mov   edx, COM1 + 5
.sending:
  in    al, dx
  test  al, 0x40
  jz    .sending
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

/** The value of a read, where the code that was interrupted is what it asks of. */
export const ownValueSource = `
take_value:                             ; the value of the read at edi goes to number
  mov   dword [number], 0
  mov   dword [number + 4], 0
  mov   eax, [{di} + READ_KIND]
  cmp   eax, READ_NOTHING
  je    .taken
  cmp   eax, READ_MSR
  je    .msr
  cmp   eax, READ_CONTROL
  je    .control
  mov   {si}, [{di} + READ_DISPLACEMENT]
  mov   eax, [{di} + READ_BASE]
  cmp   eax, READ_NONE
  je    .index
  add   {si}, [saved + {ax}]
.index:
  mov   eax, [{di} + READ_INDEX]
  cmp   eax, READ_NONE
  je    .copy
  mov   {bx}, [saved + {ax}]
  mov   ecx, [{di} + READ_SHIFT]
  shl   {bx}, cl
  add   {si}, {bx}
.copy:
  mov   ecx, [{di} + READ_SIZE]
  push  {di}
  mov   {di}, number
  rep movsb
  pop   {di}
.taken:
  ret
.control:                               ; the one that is asked for: the others may exit
  mov   ecx, [{di} + READ_ADDRESS]
  cmp   ecx, 2
  jb    .cr0
  je    .cr2
  cmp   ecx, 3
  je    .cr3
  mov   {ax}, cr4
  jmp   .read
.cr0:
  mov   {ax}, cr0
  jmp   .read
.cr2:
  mov   {ax}, cr2
  jmp   .read
.cr3:
  mov   {ax}, cr3
.read:
  mov   [number], {ax}
  ret
.msr:
  mov   ecx, [{di} + READ_ADDRESS]
  rdmsr
  mov   [number], eax
  mov   [number + 4], edx
  ret
`;
