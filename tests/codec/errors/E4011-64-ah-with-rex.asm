movzx rax, bh
