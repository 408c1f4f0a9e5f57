in rax, dx
