mov rax, 1
