add rax, 0xffffffff
