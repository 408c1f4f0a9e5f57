encode "8B /r" { mov eax, bl }
