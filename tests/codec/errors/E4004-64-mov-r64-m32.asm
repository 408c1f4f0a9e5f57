mov rax, dword [rbx]
