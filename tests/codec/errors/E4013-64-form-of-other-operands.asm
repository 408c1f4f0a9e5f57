encode "8A /r" { mov eax, ebx }
