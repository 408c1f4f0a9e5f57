// What a carried image does as the VMM of its guest, in the language itself: it runs the guest with the library's `hv`,
// tells what exits, and acts at the guest's points, which are hypercalls there. `{si}` as in the other sources.
//
// A hypercall takes no register, flag or stack of the guest, in whatever mode and ring it runs; the VMM finds the point
// by the guest's RIP. Default handlers are hypercalls too, with an IRET behind: the guest itself goes on by it.

/** Around the text that a program's policy gives: the VMM takes over, and serves its guest. */
export const monitorSource = (guest: string, policy: string): string => `
monitor:
  hv.start
  hv.guest ${guest}
  hv.take_over ${guest}
${policy}
  hv.guard
resumed:
  mov   rsp, scaffold_stack
  hv.run
  call  take_guest
  cmp   dword [hv.reason], HV.CALL
  je    hypercall
served_by_policy:
  hv.answer
  call  put_served
  cmp   byte [hv.goes_on], 0
  jne   resumed
  jmp   guest_over

hypercall:
  mov   rcx, [saved_ip]
  sub   rcx, [handlers]
  cmp   rcx, [handler_bytes]
  jb    guest_trap
  mov   eax, [saved_ip]
  add   eax, 3                          ; VMCALL and VMMCALL
  mov   edi, [point_table]
  mov   ecx, [point_count]
.next:
  test  ecx, ecx
  jz    served_by_policy                ; the guest's own
  cmp   eax, [rdi + POINT_RETURN]
  je    .found
  add   edi, POINT_BYTES
  dec   ecx
  jmp   .next
.found:
  mov   [served], rdi
  mov   [saved_ip], rax
  mov   eax, [rdi + POINT_ACTION]
  cmp   eax, POINT_VISIT
  je    .visit
  cmp   eax, POINT_PROBE
  je    .probe
  cmp   eax, POINT_RING_ENTER
  je    enter_ring
  cmp   eax, POINT_RING_LEAVE
  je    .leave
  cmp   eax, POINT_ANNOUNCE
  je    .announce
  jmp   done
.visit:
  imul  eax, [rdi + POINT_ARGUMENT], MARK_BYTES
  add   eax, [marks]
  inc   dword [rax]
  jmp   pass
.probe:
  mov   ebp, [rdi + POINT_ARGUMENT]
  call  put_visits
  mov   al, 'p'
  call  put_values
  call  put_place
  jmp   pass
.announce:                              ; what follows may end the machine without another word
  call  put_visits
  call  put_finals
  mov   edi, [served]
  mov   al, 'a'
  call  put
  lea   rsi, [rdi + POINT_ARGUMENT]
  call  put_short
  call  put_newline
  call  drain_port
  jmp   pass
.leave:
  cmp   dword [entered], 0
  je    pass
  call  leave_ring
  jmp   return
pass:
  mov   rax, [saved_ip]
  write_ip
  jmp   resumed

guest_over:
  call  put_visits
  call  put_finals
  mov   ebx, OVER_UNKNOWN
  cmp   byte [hv.is_stopped], 0
  jne   .stopped
  cmp   dword [hv.reason], HV.HLT
  je    .halted
  cmp   dword [hv.reason], HV.SHUTDOWN
  jne   .known
  mov   ebx, OVER_SHUTDOWN
  jmp   .known
.stopped:
  mov   ebx, OVER_STOPPED
  jmp   .known
.halted:
  mov   ebx, OVER_HALTED
.known:
  mov   al, 'o'
  call  put
  mov   [number], rbx
  mov   esi, number
  call  put_number
  mov   esi, hv.exited_at
  call  put_number
  mov   esi, hv.code
  call  put_number
  call  put_newline
  mov   ebx, 0
  jmp   exit

put_exit:                               ; exits are told where they are served
  ret

put_served:                             ; the exit, the event that goes in, its arrival where the test handles it itself
  cmp   byte [hv.is_shown], 0
  je    .injected
  cmp   dword [hv.reason], HV.EXCEPTION
  jne   .exit
  mov   ecx, [hv.intercepted]
  mov   eax, ASKED_EXCEPTIONS
  bt    eax, ecx
  jnc   put_watched                     ; nobody but the scaffold wants to see it
.exit:
  call  put_visits
  call  put_vm_exit
.injected:
  cmp   qword [hv.injected], 0
  je    .nothing
  call  put_visits
  mov   al, 'i'
  call  put
  mov   esi, hv.injected
  call  put_number
  mov   esi, hv.injected_error
  call  put_number
  read_debug
  mov   esi, saved_cr2
  call  put_number
  mov   esi, hv.exited_at
  call  put_number
  call  put_newline
  jmp   put_watched
.nothing:
  ret

put_watched:                            ; an exception that the test handles itself is seen where it is injected
  mov   ecx, [hv.injected]
  mov   eax, ecx
  and   eax, 0x7e0
  cmp   eax, 0x300                      ; a vector below 32
  jne   .other
  and   ecx, 31
  mov   eax, WATCHED_EXCEPTIONS
  bt    eax, ecx
  jnc   .other
  mov   [vector], rcx
  call  put_visits
  read_debug
  mov   al, 't'
  call  put
  mov   esi, vector
  call  put_number
  mov   esi, hv.injected_error
  call  put_number
  mov   esi, saved_cr2
  call  put_number
  mov   esi, saved_dr6
  call  put_number
  on vtx1, vtx2 {
    vmx.read rax, GUEST_RIP
  }
  on svm1, svm2 {
    mov   rax, [svm.vmcb + VMCB.RIP]
  }
  mov   [number], rax
  mov   esi, number
  call  put_number
  jmp   put_newline
.other:
  ret

put_vm_exit:
  on vtx1, vtx2 {
    mov   al, 'x'
    call  put
    mov   qword [number], ~0
    mov   esi, number
    call  put_number
    mov   edi, vmcs_fields
  .field:
    mov   ecx, [rdi]
    cmp   ecx, VMCS_FIELDS_END
    je    .all
    mov   esi, hv.exited_at
    cmp   ecx, GUEST_RIP
    je    .told
    vmread rax, rcx
    mov   [number], rax
    mov   esi, number
  .told:
    call  put_number
    add   edi, 4
    jmp   .field
  .all:
  }
  on svm1, svm2 {
    mov   al, 'y'
    call  put
    mov   qword [number], ~0
    mov   esi, number
    call  put_number
    mov   esi, svm.vmcb + VMCB.EXITCODE
    call  put_number
    mov   esi, svm.vmcb + VMCB.EXITINFO1
    call  put_number
    mov   esi, svm.vmcb + VMCB.EXITINFO2
    call  put_number
    mov   esi, svm.vmcb + VMCB.EXITINTINFO
    call  put_number
    mov   esi, hv.exited_at
    call  put_number
  }
  mov   esi, saved_cx
  call  put_number
  jmp   put_newline
`;
