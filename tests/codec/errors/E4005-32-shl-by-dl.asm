shl eax, dl
